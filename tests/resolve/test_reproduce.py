"""What counts as a reproduction, and what does not: it must fail, twice, and for the reason that the issue gives."""

from pathlib import Path

import pytest

from patchwright.config import load_settings
from patchwright.resolve.issue import read_issue
from patchwright.resolve.judge import Trees
from patchwright.resolve.reproduce import Reproducer, from_tests, program_in, python_of, raised, scripts_of
from patchwright.schema.resolution import Reproduction, SuiteRun

from .workshop import sums


async def found_in(issue: str, root: Path) -> Reproduction | None:
    trees = Trees("bubblewrap", root, load_settings().sandbox)
    return await Reproducer(trees, "python3", issue, read_issue(issue)).from_issue()


def code(program: str) -> str:
    return f"It is wrong:\n\n```python\n{program}\n```\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return sums(tmp_path)


async def test_a_failing_assertion_in_the_issue_is_one(root: Path) -> None:
    found = await found_in(code("from sums import add\nassert add(2, 3) == 5"), root)
    assert found
    assert (found.source, raised(found.failure)) == ("issue", "AssertionError")


async def test_an_exception_is_one_only_if_the_issue_names_it(root: Path) -> None:
    program = "from sums import add\nadd('a', 1)"
    assert await found_in(code(program), root) is None
    assert await found_in(f"{code(program)}\nIt raises a TypeError.", root)


@pytest.mark.parametrize(
    "program",
    [
        "from sums import add\nadd(2, 3)",
        "import pandas_of_somebody\nassert False",
        "from sums import add\nassert addd(1, 2) == 3",
        "assert add(",
        "import random\nassert False, 1/0",
        "import os\nos._exit(0)",
    ],
)
async def test_what_passes_or_fails_by_its_own_fault_is_none(root: Path, program: str) -> None:
    assert await found_in(code(program), root) is None


async def test_a_failure_that_changes_from_run_to_run_is_none(root: Path) -> None:
    kinds = "ArithmeticError, BufferError, EOFError, KeyError, LookupError, MemoryError, OSError, TypeError, ValueError"
    program = f"import random\nraise random.SystemRandom().choice([{kinds}])"
    found = [await found_in(f"{code(program)}\nIt raises one of {kinds}.", root) for _ in range(3)]
    assert None in found  # three times the same one twice: once in 700 runs


def test_the_statements_of_a_doctest_without_its_results() -> None:
    issue = ">>> from sums import add\n>>> for x in [1]:\n...     add(x, x)\n0\n"
    assert scripts_of(read_issue(issue)) == ("from sums import add\nfor x in [1]:\n    add(x, x)",)


def test_failing_tests_are_one_but_flaky_ones_and_a_lack_of_time_are_not() -> None:
    run = SuiteRun(command="t", exit_code=1, outcomes={"a": "failed", "b": "passed"}, output="boom", duration_s=1)
    found = from_tests(run, frozenset())
    assert found
    assert (found.failing_tests, found.failure) == (("a",), "boom")
    assert from_tests(run, frozenset({"a"})) is None
    assert from_tests(run.model_copy(update={"exit_code": 0}), frozenset()) is None
    assert from_tests(run.model_copy(update={"outcomes": {}, "timed_out": True}), frozenset()) is None


@pytest.mark.parametrize(
    ("command", "exit_code", "output", "shows"),
    [
        ("pytes -q", 127, "bash: pytes: command not found", False),
        ("./check", 126, "bash: ./check: Permission denied", False),
        ("pytest -q --no-such-option", 4, "pytest: error: unrecognized arguments", False),
        ("pytest -q", 5, "no tests ran in 0.01s", False),
        ("python3 -m pytest", 1, "/usr/bin/python3: No module named pytest", False),
        ("pytest -q", 4, "ImportError while loading conftest '/x/conftest.py'.", True),
        ("make check", 5, "boom", True),
        ("make check", 1, "boom", True),
    ],
)
def test_a_command_that_comes_to_no_test_shows_nothing(command: str, exit_code: int, output: str, shows: bool) -> None:
    run = SuiteRun(command=command, exit_code=exit_code, output=output, duration_s=1)
    assert (from_tests(run, frozenset()) is not None) is shows
    assert run.has_no_tests is not shows


def test_the_program_of_an_answer() -> None:
    assert program_in("Here:\n```python\nassert f()\n```\nDone.") == "assert f()\n"
    assert program_in("assert f()") == "assert f()\n"


@pytest.mark.parametrize(
    ("command", "python"),
    [
        ("python -m pytest -q", "python"),
        ("cd x && /opt/py/bin/python3.12 -m pytest", "/opt/py/bin/python3.12"),
        ("make test", "python3"),
        (None, "python3"),
    ],
)
def test_the_python_of_the_test_command(command: str | None, python: str) -> None:
    assert python_of(command) == python


def test_the_exception_that_a_program_ended_with() -> None:
    assert raised("Traceback …\n  x\njson.decoder.JSONDecodeError: bad") == "JSONDecodeError"
    assert raised("fine") == ""
