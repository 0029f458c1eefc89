"""Files that a task speaks of: by path, by module name, or by the name of something they define."""

import re
from collections.abc import Iterable, Mapping, Sequence

from patchwright.errors import ToolError
from patchwright.repo.testing.files import is_test
from patchwright.sandbox.base import Sandbox

SHOWN_FILES = 3
SHOWN_CHARS = 12_000
SEARCHED_FILES = 500

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_PATH = re.compile(r"[\w./-]*\w\.\w+")
_CODE = re.compile(r"`([^`\n]+)`|([A-Za-z_][\w.]*)\(|^\s*(?:from|import)\s+([\w.]+)", re.MULTILINE)


async def shown_files(sandbox: Sandbox, files: Sequence[str], task: str, failure: str) -> dict[str, str]:
    """Source files worth showing with the task, most telling first: up to three, 12,000 characters together.

    `files`: the repository's, relative to the work tree. Tests are left out: they are not what is to be changed.
    """
    sources = [file for file in files if not is_test(file)]
    texts = await _read(sandbox, [file for file in sources if file.endswith(".py")][:SEARCHED_FILES])
    shown: dict[str, str] = {}
    for file in mentioned_files(task, failure, sources, texts)[:SHOWN_FILES]:
        text = texts.get(file) or (await _read(sandbox, [file])).get(file, "")
        if text and sum(map(len, shown.values())) + len(text) <= SHOWN_CHARS:
            shown[file] = text
    return shown


def mentioned_files(task: str, failure: str, files: Sequence[str], texts: Mapping[str, str]) -> list[str]:
    """Files that the task names by path; if none, those that define what it names; else modules, or the failure's."""
    ranked = _by_path(task, files) or _by_definition(task, texts) or _by_module(task, files) or _by_path(failure, files)
    return list(dict.fromkeys(ranked))


def _by_path(text: str, files: Sequence[str]) -> list[str]:
    """A path may be cut at its front: `slugify/core.py` names `src/slugify/core.py`."""
    named = [match.group().lstrip("./") for match in _PATH.finditer(text)]
    return [file for name in named for file in files if f"/{file}".endswith(f"/{name}")]


def _by_definition(text: str, texts: Mapping[str, str]) -> list[str]:
    names = {part for name in _code_names(text) for part in name.split(".")}
    if not names:
        return []
    alternatives = "|".join(re.escape(name) for name in sorted(names))
    definition = re.compile(rf"^\s*(?:async\s+)?(?:def|class)\s+(?:{alternatives})\b", re.MULTILINE)
    found = {file: len(definition.findall(source)) for file, source in texts.items()}
    return sorted((file for file in found if found[file]), key=lambda file: -found[file])


def _by_module(text: str, files: Sequence[str]) -> list[str]:
    """`a.b` names a/b.py; `a` names a.py, and a/__init__.py only where nothing else is known."""
    stems = {name.replace(".", "/") for name in _code_names(text)}
    return [
        file for file in files if any(f"/{file}".endswith((f"/{stem}.py", f"/{stem}/__init__.py")) for stem in stems)
    ]


def _code_names(text: str) -> list[str]:
    """Identifiers, dotted or not, that stand in the text as code."""
    pieces: Iterable[str] = (next(filter(None, match.groups()), "") for match in _CODE.finditer(text))
    return [name.group() for piece in pieces for name in _NAME.finditer(piece)]


async def _read(sandbox: Sandbox, files: Iterable[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for file in files:
        try:
            texts[file] = (await sandbox.read(file, limit_bytes=200_000)).decode("utf-8")
        except (ToolError, UnicodeDecodeError):
            continue
    return texts
