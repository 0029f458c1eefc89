"""What an issue says: the files and names it mentions, its traceback, its code, its commands."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from keyword import kwlist, softkwlist
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from patchwright.schema.record import Record

LONGEST_ISSUE = 1_000_000
"""Characters; what is beyond is not read."""
LONGEST_LINE = 2_000
MOST_PATHS = 50
MOST_IDENTIFIERS = 200
MOST_FRAMES = 100
MOST_BLOCKS = 50
MOST_COMMANDS = 50
LEAD_LINES = 3
_PROGRAMS = "py pyi pyx pyw js mjs cjs jsx ts tsx vue c h cc cpp hpp cs go rs rb java kt php sh sql ipynb"
_TEXTS = "toml cfg ini yaml yml json html css scss md rst txt xml"
FILE_SUFFIXES = frozenset([*_PROGRAMS.split(" "), *_TEXTS.split(" ")])

BlockKind = Literal["python", "doctest", "shell", "other"]

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(\s?\()?")
_PATHLIKE = re.compile(r"[\w.~/\\+-]+")
_URL = re.compile(r"https?://\S+")
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_CAMEL = re.compile(r"[a-z\d][A-Z]|[A-Z]{2}[a-z]")
_FENCE = re.compile(r"\s{0,8}(`{3,}|~{3,})\s*([\w+-]*)")
_FRAME = re.compile(r'.{0,20}?\bFile "([^"]+)", line (\d+)(?:, in (\S+))?')
_FRAME_OF_IPYTHON = re.compile(r"\s*(?:File )?(\S+\.pyx?)(?::(\d+))?,? in (\w+)\b")
_FRAME_OF_PYTEST = re.compile(r"(\S+\.py):(\d+): (?:in )?(\S*)")
_ARROW = re.compile(r"\s*-+> ?(\d+)\b")
_RAISED = re.compile(r"(?:E\s{1,8})?((?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?::\s?(.*))?\s*$")
_RAISED_ANYWHERE = re.compile(r"\b((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)): (\S.*)")
_COMMAND = re.compile(r"\s{0,8}(?:\([\w.-]+\) )?\$ (\S.*)")
_PYTHON_LINE = re.compile(
    r"(?:from|import|def|class|async|with|for|if|while|try|return|raise|assert|del)\b|[@#]"
    r"|[\w.\[\]'\", ]+ ?=[^=]|[\w.]+\(.*\)\s*(?:#.*)?$"
)
_SHELL_LANGUAGES = {"bash", "sh", "shell", "zsh", "console", "shell-session"}
_PYTHON_LANGUAGES = {"python", "py", "python3", "python2"}
_ENVIRONMENT = re.compile(
    r"[#*<\s]*(?:summary>)?(?:(?:expected )?output of .{0,40}version|(?:your |my )?environment|system info|versions?\b|"
    r"(?:python|os|operating system|pylint|pytest|\w+) versions?\b)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\s*(?:#|\*\*)")
_NO_NAMES = frozenset({*kwlist, *softkwlist, "self", "cls", "print", "e.g", "i.e"})


class Frame(Record):
    """A line of a traceback. `function` is empty where the traceback does not say."""

    path: str
    line: int
    function: str = ""


class Raised(Record):
    """An exception: its type as it was printed, and the first line of its message."""

    type: str
    message: str = ""


class CodeBlock(Record):
    """A stretch of code, without fences and common indentation; a doctest keeps its prompts and outputs."""

    kind: BlockKind
    text: str
    lead: str = ""
    """What stands before it, back to the block before: the last lines of it."""


class IssueFacts(Record):
    """What an issue says. Everything is in order of appearance, without repeats, and bounded in number."""

    paths: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    """Names that stand there as code, dotted where they were."""
    frames: tuple[Frame, ...] = ()
    """The innermost last."""
    error: Raised | None = None
    """What the last traceback ended with, or an exception that is quoted without one."""
    code_blocks: tuple[CodeBlock, ...] = ()
    commands: tuple[str, ...] = ()


class _Line(NamedTuple):
    text: str
    is_code: bool


def read_issue(text: str) -> IssueFacts:
    """The facts in the text of an issue, in time linear in its length."""
    raw = _without_comments(text[:LONGEST_ISSUE].replace("\r\n", "\n")).split("\n")
    lines = [line[:LONGEST_LINE] for line in raw]
    blocks, marked = _blocks(lines)
    return IssueFacts(
        paths=_first(MOST_PATHS, _paths(lines)),
        identifiers=_first(MOST_IDENTIFIERS, _identifiers(marked)),
        frames=tuple(dict.fromkeys(_frames(lines)))[-MOST_FRAMES:],
        error=_error(lines),
        code_blocks=tuple(blocks[:MOST_BLOCKS]),
        commands=_first(MOST_COMMANDS, _commands(lines)),
    )


def without_environment(text: str) -> str:
    """The issue without its sections that report versions: they read like the code that prints such reports.

    The first line is the title, and stays.
    """
    title, *lines = _without_comments(text[:LONGEST_ISSUE]).lstrip().split("\n")
    kept = [title]
    is_environment = False
    for line in lines:
        starts = bool(_ENVIRONMENT.match(line[:LONGEST_LINE]))
        is_environment = starts or (is_environment and not _HEADING.match(line[:LONGEST_LINE]))
        kept += [] if is_environment else [line]
    return "\n".join(kept)


def _first(count: int, found: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(found), count))


def _without_comments(text: str) -> str:
    """The comments of an issue template are not the author's."""
    kept: list[str] = []
    start = 0
    while (comment := text.find("<!--", start)) >= 0 and (end := text.find("-->", comment)) >= 0:
        kept.append(text[start:comment])
        start = end + 3
    return "".join([*kept, text[start:]])


def _blocks(lines: list[str]) -> tuple[list[CodeBlock], list[_Line]]:
    """The code blocks, and each line with whether it is Python in one."""
    blocks: list[CodeBlock] = []
    marked: list[_Line] = []
    at = ended = 0
    while at < len(lines):
        end, language, inside = _block_at(lines, at)
        if end > at:
            kind = _kind(language, inside)
            blocks += [CodeBlock(kind=kind, text=_dedented(inside), lead=_lead(lines[ended:at]))] if any(inside) else []
            ended = end
            marked += [_Line(line, is_code=kind in {"python", "doctest"}) for line in inside]
            at = end
            continue
        marked.append(_Line(lines[at], is_code=False))
        at += 1
    return blocks, marked


def _lead(lines: list[str]) -> str:
    return "\n".join([line.strip() for line in lines if line.strip()][-LEAD_LINES:])


def _block_at(lines: list[str], at: int) -> tuple[int, str, list[str]]:
    """Where the block that begins here ends, its language, its lines; where none begins, the end is `at`."""
    if fence := _FENCE.match(lines[at]):
        end = _end_of_fence(lines, at + 1, fence[1])
        return min(end + 1, len(lines)), fence[2].lower(), lines[at + 1 : end]
    if lines[at].lstrip().startswith(">>> "):
        end = at
        while end < len(lines) and lines[end].strip():
            end += 1
        return end, "pycon", lines[at:end]
    if _is_indented(lines[at]) and (at == 0 or not lines[at - 1].strip()):
        end = last = at
        while end < len(lines) and (_is_indented(lines[end]) or not lines[end].strip()):
            last = end if lines[end].strip() else last
            end += 1
        return last + 1, "", lines[at : last + 1]
    return at, "", []


def _end_of_fence(lines: list[str], at: int, fence: str) -> int:
    while at < len(lines) and not lines[at].strip().startswith(fence):
        at += 1
    return at


def _is_indented(line: str) -> bool:
    return line.startswith(("    ", "\t")) and bool(line.strip())


def _kind(language: str, lines: list[str]) -> BlockKind:
    if any(line.lstrip().startswith(">>> ") for line in lines):
        return "doctest"
    if language in _SHELL_LANGUAGES or any(_COMMAND.match(line) for line in lines):
        return "shell"
    if language in _PYTHON_LANGUAGES:
        return "python"
    return "python" if not language and _looks_like_python(lines) else "other"


def _looks_like_python(lines: list[str]) -> bool:
    """Half of the lines at the outer level read like statements, and none like a traceback."""
    outer = [line for line in _dedented(lines).split("\n") if line and not line[0].isspace() and line[0] not in ")]}"]
    if any("Traceback (most recent" in line or line.startswith(("diff ", "--- ", "@@ ")) for line in outer):
        return False
    return bool(outer) and 2 * sum(bool(_PYTHON_LINE.match(line)) for line in outer) >= len(outer)


def _dedented(lines: list[str]) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines).strip("\n")


def _paths(lines: list[str]) -> Iterator[str]:
    for line in lines:
        for match in _PATHLIKE.finditer(_URL.sub(" ", line)):
            path = match.group().strip(".").replace("\\", "/")
            if PurePosixPath(path).suffix[1:] in FILE_SUFFIXES and PurePosixPath(path).stem:
                yield path


def _identifiers(lines: list[_Line]) -> Iterator[str]:
    """Of Python every name; of prose, output and commands what looks like code or is in backticks."""
    for line in lines:
        text = _URL.sub(" ", line.text)
        if line.is_code:
            yield from _names(text, every=True)
            continue
        for place, piece in enumerate(_INLINE_CODE.split(text)):
            yield from _names(piece, every=place % 2 == 1)


def _names(text: str, *, every: bool) -> Iterator[str]:
    for match in _NAME.finditer(text):
        name = match.group().rstrip("( \t")
        if len(name) < 2 or name in _NO_NAMES or len(name) > 200 or name.rpartition(".")[2] in FILE_SUFFIXES - {"go"}:
            continue
        if every or match[1] == "(" or _looks_like_code(name):
            yield name.removeprefix("self.")


def _looks_like_code(name: str) -> bool:
    dotted = "." in name and all(len(part) > 1 for part in name.split("."))
    return dotted or "_" in name.strip("_") or name.startswith("__") or bool(_CAMEL.search(name))


def _frames(lines: list[str]) -> Iterator[Frame]:
    """Of Python's own tracebacks, IPython's (the line stands behind an arrow further down) and pytest's."""
    waiting: Frame | None = None
    for line in lines:
        if found := _FRAME.match(line) or _FRAME_OF_PYTEST.match(line):
            function = found[3] or ""
            yield Frame(path=found[1], line=_number(found[2]), function="" if function.endswith("Error") else function)
        elif found := _FRAME_OF_IPYTHON.match(line):
            waiting = Frame(path=found[1], line=_number(found[2] or "0"), function=found[3])
            if waiting.line:
                yield waiting
        elif waiting and not waiting.line and (arrow := _ARROW.match(line)):
            yield waiting.model_copy(update={"line": _number(arrow[1])})
            waiting = None


def _number(digits: str) -> int:
    return int(digits[:9])


def _error(lines: list[str]) -> Raised | None:
    """The line that ends the last traceback is the first behind it that is not indented any further."""
    raised: Raised | None = None
    margin: int | None = None
    for line in lines:
        if "Traceback (most recent call last)" in line:
            margin = len(line) - len(line.lstrip())
        elif margin is not None and line.strip() and len(line) - len(line.lstrip()) <= margin:
            found = _RAISED.match(line.strip())
            raised, margin = (_raised(found) if found else raised), (None if found else margin)
        elif line.startswith("E  ") and (found := _RAISED.match(line)) and _is_error(found[1]):
            raised = _raised(found)
    return raised or next((_raised(found) for line in lines if (found := _RAISED_ANYWHERE.search(line[:200]))), None)


def _is_error(name: str) -> bool:
    return name.endswith(("Error", "Exception", "Warning", "Exit", "Interrupt"))


def _raised(found: re.Match[str]) -> Raised:
    return Raised(type=found[1], message=(found[2] or "").strip())


def _commands(lines: list[str]) -> Iterator[str]:
    """What stands behind a prompt; a line that ends in a backslash goes on."""
    command = ""
    for line in lines:
        if command.endswith("\\"):
            command = f"{command[:-1].rstrip()} {line.strip()}"[:LONGEST_LINE]
        elif found := _COMMAND.match(line):
            command = found[1].rstrip()
        if command and not command.endswith("\\"):
            yield command
            command = ""
