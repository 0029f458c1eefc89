"""What an issue says that a program does, and should do: as a reproduction, for real."""

from pathlib import Path

import pytest

from patchwright.config import load_settings
from patchwright.resolve.expectation import Expectation, expectations_of
from patchwright.resolve.issue import read_issue
from patchwright.resolve.judge import Trees
from patchwright.resolve.reproduce import Reproducer
from patchwright.schema.resolution import Reproduction

from .workshop import sums

PROGRAM = "from sums import add\nprint(add(2, 3))"


def issue(seen: str, wanted: str) -> str:
    return f"`add` is wrong\n\nI ran this program, which fails:\n\n```python\n{PROGRAM}\n```\n\n{seen}\n\n{wanted}\n"


def block(lead: str, text: str) -> str:
    return f"{lead}\n\n```\n{text}\n```"


def test_a_program_with_what_it_prints_and_what_it_should_print() -> None:
    text = issue(block("It prints", "-1"), block("It should print", "5"))
    assert list(expectations_of(read_issue(text))) == [Expectation(PROGRAM, "-1", "5")]


def test_a_traceback_is_its_last_line_and_follows_what_was_printed() -> None:
    traceback = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: no'
    text = issue(f"{block('Actual:', '1 ')}\n\n{block('and then', traceback)}", block("Expected:", "point(1, 2)"))
    assert list(expectations_of(read_issue(text))) == [Expectation(PROGRAM, "1\nValueError: no", "point(1, 2)")]


def test_a_program_that_only_fails_has_no_expectation() -> None:
    assert list(expectations_of(read_issue(issue(block("It prints", "-1"), "That is wrong.")))) == []
    assert list(expectations_of(read_issue("It is wrong. It should not be."))) == []


def test_each_program_goes_with_its_own_results() -> None:
    one = issue(block("It prints", "-1"), block("It should print", "5"))
    two = one.replace("add(2, 3)", "add(1, 1)").replace("-1", "0").replace("5", "2")
    assert [(each.seen, each.wanted) for each in expectations_of(read_issue(one + two))] == [("-1", "5"), ("0", "2")]


async def found_in(text: str, root: Path) -> tuple[Reproducer, Reproduction | None]:
    trees = Trees("bubblewrap", root, load_settings().sandbox)
    reproducer = Reproducer(trees, "python3", text, read_issue(text))
    return reproducer, await reproducer.from_issue()


async def test_the_program_reproduces_what_the_issue_says_and_its_lines_are_known(tmp_path: Path) -> None:
    root = sums(tmp_path)
    reproducer, found = await found_in(issue(block("It prints", "-1"), block("It should print", "5")), root)
    assert found
    assert found.source == "issue"
    assert "came to '-1', not to '5'" in found.failure
    assert (await reproducer.executed_by(found)).lines == {"sums.py": (5,)}


@pytest.mark.parametrize(("seen", "wanted"), [("0", "5"), ("-1", "-1")])
async def test_what_does_not_happen_here_is_no_reproduction(tmp_path: Path, seen: str, wanted: str) -> None:
    _, found = await found_in(issue(block("It prints", seen), block("It should print", wanted)), sums(tmp_path))
    assert found is None


async def test_an_exception_that_is_missing_is_an_expectation_too(tmp_path: Path) -> None:
    root = sums(tmp_path)
    text = issue(block("It prints", "-1"), block("It should fail with", "TypeError: no"))
    _, found = await found_in(text, root)
    assert found
    (root / "sums.py").write_text("def add(a, b):\n    raise TypeError('no')\n")
    _, found = await found_in(text, root)
    assert found is None
