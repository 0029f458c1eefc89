"""A patch turned round: what takes back what it does."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

_OPPOSITE = {"+": "-", "-": "+"}


def reversed_patch(patch: str) -> str:
    """The patch that undoes `patch`, in git's format. Raises ValueError when it is none, or holds more than changes
    of lines in text files."""
    unidiff: Any = import_module("unidiff")
    try:
        # A last line that does not end would run into the one that comes after it when they are turned round.
        files: Any = unidiff.PatchSet(patch.removesuffix("\n") + "\n")
    except unidiff.UnidiffParseError as error:
        raise ValueError(f"not a patch: {error}") from None
    return "".join(line for file in files for line in _reversed_file(file))


def _reversed_file(file: Any) -> Iterator[str]:
    if file.is_binary_file or file.is_rename:
        raise ValueError(f"{file.path} is binary or renamed, which cannot be turned round")
    yield f"diff --git a/{file.path} b/{file.path}\n"
    if file.is_added_file:
        yield "deleted file mode 100644\n"
    elif file.is_removed_file:
        yield "new file mode 100644\n"
    yield f"--- {'/dev/null' if file.is_removed_file else f'a/{file.path}'}\n"
    yield f"+++ {'/dev/null' if file.is_added_file else f'b/{file.path}'}\n"
    for hunk in file:
        yield f"@@ -{hunk.target_start},{hunk.target_length} +{hunk.source_start},{hunk.source_length} @@"
        yield f" {hunk.section_header}\n" if hunk.section_header else "\n"
        yield from _reversed_lines(str(hunk).splitlines(keepends=True)[1:])


def _reversed_lines(lines: Iterable[str]) -> Iterator[str]:
    """What is taken away comes first within each change."""
    added: list[str] = []
    last = ""
    for line in lines:
        if line.startswith("-") or (line.startswith("\\") and last == "-"):
            added.append(_OPPOSITE.get(line[0], line[0]) + line[1:])
        elif line.startswith("+") or (line.startswith("\\") and last == "+"):
            yield _OPPOSITE.get(line[0], line[0]) + line[1:]
        else:
            yield from added
            added = []
            yield line
        last = last if line.startswith("\\") else line[0]
    yield from added
