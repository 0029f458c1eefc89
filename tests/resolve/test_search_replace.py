"""SEARCH/REPLACE blocks: where they fit, and what a model is told when they do not."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchwright.resolve.edits import Unusable
from patchwright.resolve.search_replace import search_replace
from patchwright.resolve.sources import parsed

from .numbers import GCD, LINE, RIGHT, SOURCE, block


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        (LINE, "    return gcd(b, a % b)"),
        ("return gcd(a % b, b)", "return gcd(b, a % b)"),
        ("        return a   \n    return gcd(a % b, b)", "        return a\n    return gcd(b, a % b)"),
        ("  if b == 0:\n  return a\n  return gcd(a % b, b)", "  if b == 0:\n      return a\n  return gcd(b, a % b)"),
        ("a % b, b)", "b, a % b)"),
    ],
)
def test_the_lines_to_search_may_differ_in_whitespace(search: str, replacement: str) -> None:
    assert search_replace(SOURCE, f"Like so:\n```\n{block(search, replacement)}\n```") == RIGHT


def test_blocks_are_applied_one_after_the_other() -> None:
    answer = block("a = 1", "a = 2") + "\n" + block("b = 1", "")
    assert search_replace("a = 1\r\nb = 1\r\nc = 1\r\n", answer) == "a = 2\r\nc = 1\r\n"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("return gcd(b, a % b)", "the answer holds no edit. Write it as\n<<<<<<< SEARCH\n"),
        (block("", "x"), "a SEARCH block is empty. Copy the lines to replace from the file."),
        (block("qqqqq()", "x"), "the lines of a SEARCH block are not in the file, and nothing is like them. "),
        (
            block("    return gcd(a % b, a)", "x"),
            "the lines of a SEARCH block are not in the file. The nearest is line 8:\n",
        ),
        (block("", "x").replace("\n\n", "\n"), "a SEARCH block is empty. Copy the lines to replace from the file."),
        (block(LINE, "    return gcd("), "with the answer in place, the file does not parse: line 8: "),
        (block(LINE, LINE + "  # so"), "the answer is the same code as before."),
    ],
)
def test_a_block_that_cannot_be_used_says_why(answer: str, problem: str) -> None:
    with pytest.raises(Unusable) as unusable:
        search_replace(SOURCE, answer)
    assert str(unusable.value).startswith(problem)


def test_a_block_that_fits_several_places_names_them() -> None:
    with pytest.raises(Unusable, match=r"occur 2 times in the file, at lines 1, 3\."):
        search_replace("x\ny\nx\n", block("x", "z"))


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_answer_is_used_or_refused(answer: str) -> None:
    for text in (answer, f"{GCD}\n{answer}", f"```\n{answer}", block(answer, answer)):
        with suppress(Unusable):
            assert parsed(search_replace(SOURCE, text)) is not None
