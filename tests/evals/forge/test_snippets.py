"""Tests as the programs that a user would send."""

import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.evals.forge.snippets import snippet_of

CONFTEST = """
import pytest


@pytest.fixture
def base():
    return 10


@pytest.fixture
def total(base):
    more = 5
    return base + more
"""
TESTS = '''
import unittest
from decimal import Decimal, ROUND_UP

import pytest

LIMIT = 3


def limited(number):
    return min(number, LIMIT)


def test_plain():
    """Not for the user."""
    value = Decimal("1.5")
    assert limited(value) == Decimal("1.5")
    assert "5" in str(value)
    assert not limited(0)


@pytest.mark.parametrize("a, b", [(1, 1), pytest.param(7, 3, id="many")])
def test_cases(a, b):
    assert limited(a) == b


@pytest.mark.parametrize("number", range(3))
def test_made_cases(number):
    assert limited(number) == number


def test_fixtures(total):
    assert total == 15


def test_raises():
    with pytest.raises(ZeroDivisionError):
        limited(1) / 0
    assert LIMIT == 3


def test_for_tests_alone(tmp_path, monkeypatch):
    assert tmp_path


async def test_async():
    assert LIMIT


class Shared:
    def test_inherited(self):
        self.assertEqual(3, self.limit(5))


class LimitTest(unittest.TestCase, Shared):
    limit = staticmethod(limited)
    factor = 2

    def setUp(self):
        self.number = 4 * self.factor

    def test_members(self):
        for each in (1, 2):
            self.assertEqual(limited(each), each)
        self.assertIn(self.number, [8])
        self.assertRaises(TypeError, limited, None)
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests" / "test_limit.py").write_text(TESTS)
    return tmp_path


def text_of(tree: Path, test: str, position: int = 0) -> str:
    snippet = snippet_of(tree, f"tests/test_limit.py::{test}", position)
    assert snippet is not None
    return snippet.text


def run(program: str) -> tuple[str, str]:
    """What it prints, and the last line of its errors."""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return result.stdout, (result.stderr.splitlines() or [""])[-1]


def test_assertions_become_prints_and_only_what_is_needed_is_there(tree: Path) -> None:
    assert text_of(tree, "test_plain") == (
        "from decimal import Decimal\n\nLIMIT = 3\n\ndef limited(number):\n    return min(number, LIMIT)\n\n"
        "value = Decimal('1.5')\nprint(repr(limited(value)))\nprint(repr(str(value)))\nprint(repr(limited(0)))\n"
    )
    assert run(text_of(tree, "test_plain")) == ("Decimal('1.5')\n'1.5'\n0\n", "")


@pytest.mark.parametrize(
    ("test", "position", "output"),
    [
        ("test_cases[1-1]", 0, "1\n"),
        ("test_cases[many]", 1, "3\n"),
        ("test_made_cases[2]", 2, "2\n"),
        ("test_fixtures", 0, "15\n"),
    ],
)
def test_cases_and_fixtures_become_assignments(tree: Path, test: str, position: int, output: str) -> None:
    program = text_of(tree, test, position)
    assert "pytest" not in program
    assert run(program) == (output, "")


def test_what_is_to_raise_ends_the_program(tree: Path) -> None:
    assert text_of(tree, "test_raises").endswith("\n\nlimited(1) / 0\n")
    assert run(text_of(tree, "test_raises")) == ("", "ZeroDivisionError: division by zero")


def test_what_is_on_self_becomes_names(tree: Path) -> None:
    program = text_of(tree, "LimitTest::test_members")
    assert "self" not in program
    output, error = run(program)
    assert (output, error.partition(":")[0]) == ("1\n2\n[8]\n", "TypeError")


def test_an_inherited_test_is_found_with_the_attributes_of_its_class(tree: Path) -> None:
    program = text_of(tree, "LimitTest::test_inherited")
    assert run(program.replace("staticmethod(limited)", "limited")) == ("3\n", "")


@pytest.mark.parametrize("test", ["test_for_tests_alone", "test_async", "test_not_there", "NotThere::test_a"])
def test_what_no_user_could_send_is_none(tree: Path, test: str) -> None:
    assert snippet_of(tree, f"tests/test_limit.py::{test}", 0) is None
    assert snippet_of(tree, f"tests/not_there.py::{test}", 0) is None
