"""str_replace_editor: view and edit files. Name, fields and semantics are those of OpenHands' CodeAct agent."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from patchwright.errors import ToolError
from patchwright.sandbox.base import Sandbox
from patchwright.tools import misses
from patchwright.tools.base import Arguments, Observation
from patchwright.tools.diff import diff_of
from patchwright.tools.paths import existing, short
from patchwright.tools.syntax import broken_by
from patchwright.tools.text import bounded, counted, numbered, numbered_head
from patchwright.tools.text_file import TextFile, new_file, parse
from patchwright.tools.undo import EditLog, digest

_CONTEXT_LINES = 4
_LISTED = 500
_NEEDED = {"create": ("file_text",), "str_replace": ("old_str",), "insert": ("insert_line", "new_str")}


class EditorArguments(Arguments):
    command: Literal["view", "create", "str_replace", "insert", "undo_edit"]
    path: str = Field(description="File or directory, e.g. src/main.py.")
    file_text: str | None = Field(None, description="For create.")
    old_str: str | None = Field(None, description="For str_replace: whole lines of the file, copied exactly.")
    new_str: str | None = Field(None, description="For str_replace and insert.")
    insert_line: int | None = Field(None, description="For insert; 0 is the beginning.")
    view_range: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        None, description="For view: [first, last] line; -1 is the end."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in _NEEDED.get(self.command, ()):
            if name not in self.model_fields_set:
                raise ValueError(f'{self.command} needs the argument "{name}"')
        return self


class StrReplaceEditor:
    """Views and edits files through the sandbox; observations hold about `limit_chars` characters at most."""

    name = "str_replace_editor"
    arguments: type[BaseModel] = EditorArguments

    def __init__(self, sandbox: Sandbox, limit_chars: int) -> None:
        self.sandbox = sandbox
        self.limit_chars = limit_chars
        self._log = EditLog()

    async def run(self, arguments: EditorArguments) -> Observation:
        match arguments.command:
            case "view":
                return await self._view(arguments.path, arguments.view_range)
            case "create":
                return await self._create(arguments.path, arguments.file_text or "")
            case "str_replace":
                return await self._str_replace(arguments.path, arguments.old_str or "", arguments.new_str or "")
            case "insert":
                return await self._insert(arguments.path, arguments.insert_line or 0, arguments.new_str or "")
            case "undo_edit":
                return await self._undo_edit(arguments.path)

    async def _view(self, path: str, view_range: list[int] | None) -> Observation:
        info = await existing(self.sandbox, path)
        if info.kind == "directory":
            return await self._view_directory(path)
        lines = (await self._read(path))[1].lines
        if not lines:
            return Observation(text=f"{self._short(path)} is empty.")
        first, last = _range(view_range, len(lines))
        text, shown = numbered_head(lines[first - 1 : last], first, self.limit_chars - 200)
        end = first + shown - 1
        note = f"{self._short(path)}, lines {first}-{end} of {len(lines)}"
        if end < last:
            note += f"; view_range [{end + 1}, {last}] shows the next"
        return Observation(text=f"{text}\n[{note}]")

    async def _view_directory(self, path: str) -> Observation:
        entries = await self.sandbox.list(path, depth=2, limit=_LISTED)
        marks = {"directory": "/", "symlink": "@"}
        listed = [f"{self._short(entry.path)}{marks.get(entry.kind, '')}" for entry in entries]
        more = ", the first of more" if len(entries) == _LISTED else ""
        note = f"[{counted(len(entries), 'entry')} two levels deep in {self._short(path)}{more}; hidden ones left out]"
        return Observation(text=bounded("\n".join([*listed, note]), self.limit_chars))

    async def _create(self, path: str, file_text: str) -> Observation:
        if info := await self.sandbox.info(path):
            raise ToolError(
                f"{self._short(path)}: there is a {info.kind} already, and create does not overwrite; view it, "
                "then change it with str_replace or insert"
            )
        return await self._save(path, None, None, new_file(file_text), start=0, end=len(file_text))

    async def _str_replace(self, path: str, old_str: str, new_str: str) -> Observation:
        data, file = await self._read(path)
        old, new = old_str.replace("\r\n", "\n"), new_str.replace("\r\n", "\n")
        if not old:
            raise ToolError("old_str is empty: give the lines to replace, or use insert")
        if old == new:
            raise ToolError("old_str and new_str are the same: this changes nothing")
        if _lacks_final_newline(file, old):
            old, new = old.removesuffix("\n"), new.removesuffix("\n")
        if file.text.count(old) != 1:
            text = misses.explain(self._short(path), file, old, new)
            return Observation(text=bounded(text, self.limit_chars), failed=True)
        start = file.text.index(old)
        edited = file.replaced(start, start + len(old), new)
        return await self._save(path, data, file, edited, start, start + len(new))

    async def _insert(self, path: str, insert_line: int, new_str: str) -> Observation:
        data, file = await self._read(path)
        lines, new = file.lines, new_str.replace("\r\n", "\n")
        if not 0 <= insert_line <= len(lines):
            raise ToolError(f"insert_line {insert_line} is not in the file; it has {counted(len(lines), 'line')}")
        start = sum(len(line) + 1 for line in lines[:insert_line])
        if start > len(file.text):
            start, new = start - 1, "\n" + new.removesuffix("\n")
        else:
            new = new.removesuffix("\n") + "\n"
        return await self._save(path, data, file, file.replaced(start, start, new), start, start + len(new))

    async def _undo_edit(self, path: str) -> Observation:
        key = await self._key(path)
        edit = self._log.last(key)
        if edit is None:
            raise ToolError(f"{self._short(path)}: there is no edit of this file to undo")
        data, file = await self._read(path)
        if digest(data) != edit.after_digest:
            raise ToolError(
                f"{self._short(path)}: something else has changed the file since that edit, so it is left as it is; "
                "view it and edit it"
            )
        if edit.before is None:
            await self.sandbox.remove(path)
        else:
            await self.sandbox.write(path, edit.before)
        self._log.drop(edit)
        before = None if edit.before is None else parse(edit.before).text
        text = f"{self._short(path)}: undid the last edit" + (
            ", which had created the file." if before is None else "."
        )
        return Observation(text=text, diff=diff_of(self._short(path), file.text, before))

    async def _save(
        self, path: str, data: bytes | None, before: TextFile | None, after: TextFile, start: int, end: int
    ) -> Observation:
        """Write `after` in place of `data`; `start` to `end` is what is new in its text."""
        written = after.to_bytes()
        await self.sandbox.write(path, written)
        self._log.add(await self._key(path), data, written)
        name, old_text = self._short(path), before.text if before else None
        parts = [f"{name}: {'created' if before is None else 'edited'}.", self._snippet(after, start, end)]
        if problem := await broken_by(path, old_text, after.text):
            parts.append(f"WARNING: the file does not parse any more: line {problem.line}: {problem.message}.")
        return Observation(text="\n".join(filter(None, parts)), diff=diff_of(name, old_text, after.text))

    def _snippet(self, file: TextFile, start: int, end: int) -> str:
        lines = file.lines
        first = max(1, file.text.count("\n", 0, start) + 1 - _CONTEXT_LINES)
        last = file.text.count("\n", 0, end) + 1 + _CONTEXT_LINES
        # The policy knows what it wrote: this is to see that it stands in the right place.
        return bounded(numbered(lines[first - 1 : last], first), min(self.limit_chars, 3000))

    async def _read(self, path: str) -> tuple[bytes, TextFile]:
        await existing(self.sandbox, path)
        data = await self.sandbox.read(path)
        try:
            return data, parse(data)
        except ToolError as error:
            raise ToolError(f"{self._short(path)}: {error}") from None

    async def _key(self, path: str) -> str:
        return (await existing(self.sandbox, path)).path

    def _short(self, path: str) -> str:
        return short(PurePosixPath(path), self.sandbox.root)


def _range(view_range: list[int] | None, count: int) -> tuple[int, int]:
    first, last = view_range or (1, -1)
    last = count if last == -1 else min(last, count)
    if not 1 <= first <= last:
        raise ToolError(f"view_range {view_range} is not in the file; it has {counted(count, 'line')}, counted from 1")
    return first, last


def _lacks_final_newline(file: TextFile, old: str) -> bool:
    """Whether `old` would match the end of the file, if that ended in a newline as a view makes it look."""
    return old.endswith("\n") and old not in file.text and file.text.endswith(old[:-1])
