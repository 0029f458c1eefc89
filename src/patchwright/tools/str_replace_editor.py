"""str_replace_editor: view and edit files. Name and fields are those of OpenHands' CodeAct agent."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, JsonValue

from patchwright.errors import ToolError
from patchwright.sandbox.base import Sandbox
from patchwright.tools.base import Arguments, Observation
from patchwright.tools.diff import diff_of
from patchwright.tools.edits import inserted, replaced_once, snippet
from patchwright.tools.paths import existing, short
from patchwright.tools.syntax import broken_by
from patchwright.tools.text import bounded, numbered_head
from patchwright.tools.text_file import TextFile, new_file, parse
from patchwright.tools.undo import Edit, EditLog, digest

LISTED_ENTRIES = 400


def _as_range(value: JsonValue) -> JsonValue:
    """Models often write the range as a string."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


class EditorArguments(Arguments):
    command: Literal["view", "create", "str_replace", "insert", "undo_edit"] = Field(description="What to do.")
    path: str = Field(min_length=1, description="The file or directory, relative to the work tree.")
    file_text: str | None = Field(None, description="create: the contents.")
    old_str: str | None = Field(None, description="str_replace: the lines to replace, exactly as in the file.")
    new_str: str | None = Field(None, description="str_replace, insert: the new lines.")
    insert_line: int | None = Field(None, ge=0, description="insert: the line after which to insert.")
    view_range: Annotated[list[int] | None, BeforeValidator(_as_range)] = Field(
        None, min_length=2, max_length=2, description="view: first and last line; -1 is the end."
    )


class StrReplaceEditor:
    """Edits keep line ends, encoding and mode of a file. A view holds at most `limit_chars` characters."""

    name = "str_replace_editor"
    arguments: type[BaseModel] = EditorArguments

    def __init__(self, sandbox: Sandbox, limit_chars: int) -> None:
        self._sandbox = sandbox
        self._limit_chars = limit_chars
        self._log = EditLog()

    async def run(self, arguments: EditorArguments) -> Observation:
        match arguments.command:
            case "view":
                return await self._view(arguments)
            case "create":
                return await self._create(arguments)
            case "str_replace":
                return await self._replace(arguments)
            case "insert":
                return await self._insert(arguments)
            case "undo_edit":
                return await self._undo(arguments.path)

    async def _view(self, arguments: EditorArguments) -> Observation:
        info = await existing(self._sandbox, arguments.path)
        if info.kind == "directory":
            return await self._list(arguments.path)
        file = await self._read(arguments.path)
        first, last = _range(arguments.view_range, len(file.lines))
        text, shown = numbered_head(file.lines[first - 1 : last], first, self._limit_chars)
        if first + shown - 1 < last:
            text += f"\n[… cut at line {first + shown - 1} of {len(file.lines)}; use view_range for the rest]"
        return Observation(text=text or "(the file is empty)")

    async def _list(self, path: str) -> Observation:
        entries = await self._sandbox.list(path, depth=2, limit=LISTED_ENTRIES)
        names = (short(entry.path, self._sandbox.root) + "/" * (entry.kind == "directory") for entry in entries)
        return Observation(text=bounded("\n".join(names) or "(the directory is empty)", self._limit_chars))

    async def _create(self, arguments: EditorArguments) -> Observation:
        text = _given(arguments.file_text, "create", "file_text")
        if await self._sandbox.info(arguments.path):
            raise ToolError(f"{arguments.path} exists already; use str_replace to change it")
        return await self._write(arguments.path, None, None, new_file(text), line=1)

    async def _replace(self, arguments: EditorArguments) -> Observation:
        old = _given(arguments.old_str, "str_replace", "old_str")
        data, file = await self._open(arguments.path)
        try:
            edited, line = replaced_once(file, old, arguments.new_str or "")
        except ToolError as error:
            raise ToolError(f"{arguments.path}: {error}") from None
        return await self._write(arguments.path, data, file, edited, line)

    async def _insert(self, arguments: EditorArguments) -> Observation:
        if arguments.insert_line is None:
            raise ToolError("insert needs insert_line")
        text = _given(arguments.new_str, "insert", "new_str")
        data, file = await self._open(arguments.path)
        edited = inserted(file, arguments.insert_line, text)
        return await self._write(arguments.path, data, file, edited, arguments.insert_line + 1)

    async def _undo(self, path: str) -> Observation:
        edit = self._log.last(path)
        if edit is None:
            raise ToolError(f"{path}: there is no edit of this file to take back")
        now = await self._sandbox.read(path)
        if digest(now) != edit.after_digest:
            raise ToolError(f"{path} was changed by something else since; edit it by hand")
        await self._restore(edit)
        self._log.drop(edit)
        before = parse(edit.before).text if edit.before is not None else None
        return Observation(text=f"The last edit of {path} is taken back.", diff=diff_of(path, parse(now).text, before))

    async def _restore(self, edit: Edit) -> None:
        if edit.before is None:
            await self._sandbox.remove(edit.path)
        else:
            await self._sandbox.write(edit.path, edit.before)

    async def _write(
        self, path: str, data: bytes | None, before: TextFile | None, after: TextFile, line: int
    ) -> Observation:
        written = after.to_bytes()
        await self._sandbox.write(path, written)
        self._log.add(path, data, written)
        old_text = before.text if before else None
        height = after.text.count("\n") - (old_text or "").count("\n")
        text = f"{path} now reads:\n{snippet(after, line, max(height, 0))}"
        if problem := await broken_by(path, old_text, after.text):
            text = f"This edit breaks the syntax of {path}: line {problem.line}: {problem.message}\n{text}"
        shown = short(self._sandbox.root / path, self._sandbox.root)
        return Observation(text=bounded(text, self._limit_chars), diff=diff_of(shown, old_text, after.text))

    async def _open(self, path: str) -> tuple[bytes, TextFile]:
        info = await existing(self._sandbox, path)
        if info.kind == "directory":
            raise ToolError(f"{path} is a directory")
        data = await self._sandbox.read(path)
        return data, _parsed(path, data)

    async def _read(self, path: str) -> TextFile:
        return _parsed(path, await self._sandbox.read(path))


def _parsed(path: str, data: bytes) -> TextFile:
    try:
        return parse(data)
    except ToolError as error:
        raise ToolError(f"{path}: {error}") from None


def _given(value: str | None, command: str, field: str) -> str:
    if value is None:
        raise ToolError(f"{command} needs {field}")
    return value


def _range(wanted: list[int] | None, lines: int) -> tuple[int, int]:
    if wanted is None:
        return 1, max(1, lines)
    first, last = wanted
    last = lines if last == -1 else min(last, lines)
    if not 1 <= first <= max(1, last):
        raise ToolError(f"view_range {wanted} does not lie in the file, which has {lines} lines")
    return first, last
