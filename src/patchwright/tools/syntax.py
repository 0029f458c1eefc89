"""Whether a text still parses in its file's language."""

import asyncio
import json
import re
import sys
import tomllib
from importlib.resources import files
from pathlib import PurePosixPath

from pydantic import TypeAdapter

from patchwright.schema.record import Record

CHECKED_CHARS = 1_000_000
"""Longer texts are not checked."""
_TIMEOUT_S = 10.0
_TOML_PLACE = re.compile(r"^(.*) \(at line (\d+), column \d+\)$", re.DOTALL)


class SyntaxProblem(Record):
    line: int
    message: str


_PYTHON_ANSWER = TypeAdapter(SyntaxProblem | None)


async def broken_by(path: str, before: str | None, after: str) -> SyntaxProblem | None:
    """What is wrong with `after`, unless `before` was wrong too. `before` is None for a new file.

    Also None when the language isn't known, and when the text is too large or too deep to say.
    """
    problem = await problem_in(path, after)
    if problem is None or (before is not None and await problem_in(path, before)):
        return None
    return problem


async def problem_in(path: str, text: str) -> SyntaxProblem | None:
    """The first syntax error; the name of the file says what language it is in."""
    if len(text) > CHECKED_CHARS:
        return None
    match PurePosixPath(path).suffix.lower():
        case ".py" | ".pyi" | ".pyw":
            return await _python_problem(text)
        case ".js" | ".mjs" | ".cjs" | ".jsx":
            return _javascript_problem(text)
        case ".json":
            return _json_problem(text)
        case ".toml":
            return _toml_problem(text)
        case _:
            return None


async def _python_problem(text: str) -> SyntaxProblem | None:
    """Compiled in a process of its own: CPython's compiler has crashed on deep input, and takes memory."""
    source = files("patchwright.tools").joinpath("compile_python.py").read_text(encoding="utf-8")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", source, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        answer, _ = await asyncio.wait_for(process.communicate(text.encode("utf-8", "surrogatepass")), _TIMEOUT_S)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _PYTHON_ANSWER.validate_json(answer) if process.returncode == 0 else None


def _javascript_problem(text: str) -> SyntaxProblem | None:
    import tree_sitter_javascript
    from tree_sitter import Language, Parser

    source = text.encode("utf-8", "surrogatepass")
    node = Parser(Language(tree_sitter_javascript.language())).parse(source).root_node
    if not node.has_error:
        return None
    while deeper := next((child for child in node.children if child.has_error or child.is_missing), None):
        node = deeper
    line = node.start_point.row + 1
    if node.is_missing:
        return SyntaxProblem(line=line, message=f"missing {node.type}")
    snippet = source[node.start_byte : node.end_byte][:60].decode(errors="replace").split("\n")[0]
    return SyntaxProblem(line=line, message=f"unexpected {snippet!r}")


def _json_problem(text: str) -> SyntaxProblem | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return SyntaxProblem(line=error.lineno, message=error.msg.lower())
    except (RecursionError, ValueError):
        return None
    return None


def _toml_problem(text: str) -> SyntaxProblem | None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.match(str(error))
        message, line = (place[1], int(place[2])) if place else (str(error), text.count("\n") + 1)
        return SyntaxProblem(line=line, message=message.lower())
    except (RecursionError, ValueError):
        return None
    return None
