"""HumanEvalFix (Muennighoff et al., 2023, OctoPack): HumanEval's functions with a bug, from HumanEvalPack's rows."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, StringConstraints, TypeAdapter

from patchwright.errors import BenchmarkError
from patchwright.evals.exercises import Exercise, Exercises, gold_patch
from patchwright.schema.instance import Instance
from patchwright.schema.record import parse_line


class _Row(BaseModel):
    """What is needed of a row; the others concern the pack's other tasks."""

    task_id: str
    """Python/0"""
    entry_point: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$")]
    """It names the files, too."""
    declaration: str
    """Imports and the signature, without the docstring."""
    buggy_solution: str
    canonical_solution: str
    test: str
    """Defines `check`, and may call it."""


_ROW = TypeAdapter(_Row)


def humanevalfix(file: Path, path: str) -> Exercises:
    """Each function becomes a small repository with its tests. Raises BenchmarkError and RecordError."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # not splitlines: a string may hold U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{file}: {error}") from None
    rows = [parse_line(_ROW, line, file, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise BenchmarkError(f"{file} has no rows", hint="name the Python rows of HumanEvalPack as JSONL")
    return Exercises("humanevalfix", [_exercise(row) for row in rows], path, hidden=_kept_in(file.resolve()))


def _kept_in(file: Path) -> tuple[Path, ...]:
    """The file, and the git checkouts that it lies in, whose history has it, too."""
    return (file, *(parent for parent in file.parents if (parent / ".git").exists()))


def _exercise(row: _Row) -> Exercise:
    source, test = f"{row.entry_point}.py", f"test_{row.entry_point}.py"
    files = {source: _program(row.declaration, row.buggy_solution), test: _tests(row)}
    instance = Instance(
        instance_id=f"humanevalfix__{re.sub(r'[^A-Za-z0-9]+', '-', row.task_id)}",
        repo="bigcode/humanevalpack",
        base_commit="",
        problem_statement=f"Fix the bug in `{row.entry_point}` in {source}: its tests in {test} fail.",
        patch=gold_patch(files, {source: _program(row.declaration, row.canonical_solution)}),
    )
    return Exercise(instance, files, solution=(source,), tests=(test,))


def _program(declaration: str, body: str) -> str:
    return f"{declaration.strip(chr(10))}\n{body.strip(chr(10))}\n"


def _tests(row: _Row) -> str:
    """The row's `check`, called by a test and not when the module is imported."""
    called = re.compile(rf"^check\({re.escape(row.entry_point)}\)\s*$", re.MULTILINE)
    return (
        f"from {row.entry_point} import *\nfrom {row.entry_point} import {row.entry_point}\n\n"
        f"{called.sub('', row.test).strip()}\n\n\ndef test_{row.entry_point}():\n    check({row.entry_point})\n"
    )
