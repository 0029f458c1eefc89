"""Variations of a program, and what they come to in a tree."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchwright.config import load_settings
from patchwright.resolve.judge import Trees
from patchwright.resolve.outcomes import MOST_ENDLESS, outcomes
from patchwright.resolve.variations import MOST, variations
from patchwright.schema.resolution import Reproduction

from .workshop import sums


def test_each_differs_in_one_literal_and_prints_what_is_asserted() -> None:
    assert variations("from sums import add\nassert add(2, -3) == 5")[:4] == (
        "from sums import add\nprint(repr(add(3, -3)))",
        "from sums import add\nprint(repr(add(2, -4)))",
        "from sums import add\nprint(repr(add(1, -3)))",
        "from sums import add\nprint(repr(add(2, -2)))",
    )


@pytest.mark.parametrize(
    ("literal", "other"),
    [
        ("True", "False"),
        ("None", "''"),
        ("[1, [2]]", "[[2], 1]"),
        ("1.5", "2.0"),
        ("'{{ 300|size }}'", "'{{ 301|size }}'"),
        ("'für'", "'fü'"),
    ],
)
def test_each_kind_of_literal_has_others(literal: str, other: str) -> None:
    assert f"f({other})" in variations(f"f({literal})")


@pytest.mark.parametrize("program", ["", "not Python", "f(x)", "print(f'{x} 1')"])
def test_there_are_none_without_a_literal(program: str) -> None:
    assert variations(program) == ()


def test_there_are_none_of_what_is_nested_too_deep() -> None:
    assert variations(f"print({'+'.join(['1'] * 900)})") == ()


@given(st.recursive(st.integers() | st.text() | st.booleans() | st.floats(), lambda inner: st.lists(inner, max_size=4)))
def test_they_are_python_and_different(value: object) -> None:
    program = f"print(f({ast.unparse(ast.Constant(value))}))"
    found = variations(program)
    assert len(set(found)) == len(found) <= MOST
    for each in found:
        ast.parse(each)


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees("bubblewrap", sums(tmp_path), load_settings().sandbox)


def shown_by(program: str) -> Reproduction:
    return Reproduction(
        source="issue", command="PYTHONPATH=. python3 $REPRODUCTION", script=program, program=program, failure=""
    )


async def test_they_come_to_what_they_print_and_raise(trees: Trees) -> None:
    async with trees.open() as sandbox:
        assert (await outcomes(shown_by("from sums import add\nprint(add(2, 0))"), sandbox))[:2] == ("3", "1")
        failing = await outcomes(shown_by("from sums import add\nprint(1)\nadd(None, 0)"), sandbox)
    assert failing[0] == "2\nTypeError: unsupported operand type(s) for -: 'NoneType' and 'int'"


async def test_they_are_the_same_every_time(trees: Trees) -> None:
    program = shown_by("import random\nprint(random.random(), set('abc'), object(), 1)")
    async with trees.open() as sandbox:
        first = await outcomes(program, sandbox)
        assert first == await outcomes(program, sandbox) != ()


async def test_one_that_does_not_end_and_a_long_one_are_cut_short(trees: Trees) -> None:
    async with trees.open() as sandbox:
        found = await outcomes(shown_by("n = 0\nwhile n < 1: pass\nprint('x' * 999)"), sandbox)
    assert "does not end" in found
    assert max(map(len, found)) < 300


async def test_after_some_that_do_not_end_the_others_are_not_tried(trees: Trees) -> None:
    program = "def f(a, b):\n    while a != 1: pass\n    print(b)\nf(1, 'x')"
    async with trees.open() as sandbox:
        found = await outcomes(shown_by(program), sandbox)
    assert found.count("does not end") == MOST_ENDLESS
    assert set(found) == {"", "does not end", "not tried"}


@pytest.mark.parametrize("program", ["import os\nos._exit(0 * 1)", "while 1: exec('')\n" * 40])
async def test_where_they_tell_nothing_there_are_none(trees: Trees, program: str) -> None:
    async with trees.open() as sandbox:
        assert await outcomes(shown_by(program), sandbox) == ()
