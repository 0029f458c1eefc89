"""Sources: texts of files as trees, keys, diffs and lines."""

import ast
import difflib
import hashlib
import warnings
from typing import cast

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)

PARSED_CHARS = 1_000_000
"""Longer texts are taken for something else than Python."""


def parsed(source: str) -> ast.Module | None:
    """The syntax tree of a Python text; None for any other, and where the text is too long or too deep to say."""
    if len(source) > PARSED_CHARS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def normalised(source: str) -> str:
    """The same for sources that differ in layout alone; for Python, also for ones that differ in comments and
    docstrings. A SHA-256 in hexadecimal.
    """
    return python_key(source) or _hashed(" ".join(source.split()))


def python_key(source: str) -> str | None:
    """`normalised` of a Python text; None for any other, and for one that holds nothing but comments."""
    tree = parsed(source)
    if tree is None or not tree.body:
        return None
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *DEFINITIONS)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    try:
        return _hashed(ast.dump(tree))
    except (ValueError, RecursionError, MemoryError):
        return None


def unified_diff(path: str, before: str, after: str) -> str:
    """The change as `git apply` takes it; empty when there is none. Line ends are kept as they are.

    `path` must not hold a line feed, a tab or a double quote, which git would want quoted.
    """
    return "".join(difflib.unified_diff(_ended_lines(before), _ended_lines(after), f"a/{path}", f"b/{path}"))


def syntax_error(text: str) -> str:
    """Why a text that `parsed` made nothing of is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except SyntaxError as error:
            return f"line {error.lineno}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            return str(error) or type(error).__name__
    return "it is too long"


def unreachable(tree: ast.AST) -> list[ast.stmt]:
    """The statements that stand in one block after what always leaves it, and so never run."""
    found: list[ast.stmt] = []
    for node in ast.walk(tree):
        for block in (getattr(node, field, None) for field in ("body", "orelse", "finalbody")):
            statements = cast("list[ast.stmt]", block) if isinstance(block, list) else []
            left = next((at for at, each in enumerate(statements) if isinstance(each, _LEAVING)), len(statements))
            found += statements[left + 1 :]
    return found


def lines_of(source: str) -> list[str]:
    """Its lines without their ends, numbered as a Location numbers them: a form feed ends none."""
    return [unended(line) for line in source.split("\n")]


def unended(line: str) -> str:
    """A line of a text that was split at its line feeds, without the rest of a longer line end."""
    return line.removesuffix("\r")


def indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def reindented(line: str, own: str, wanted: str) -> str:
    """The line of a text that is indented by `own`, in one that is by `wanted`; empty if it is blank."""
    if not line.strip():
        return ""
    return wanted + (line[len(own) :] if line.startswith(own) else line.lstrip())


def _ended_lines(text: str) -> list[str]:
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, f"{last}\n\\ No newline at end of file\n"] if last else lines


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
