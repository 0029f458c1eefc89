"""The order of asking: what is likely and cheap first, and it never runs dry."""

from itertools import islice

from patchwright.resolve.plan import asks
from patchwright.schema.resolution import Location


def place(name: str) -> Location:
    return Location(path="m.py", name=name, kind="function", start_line=1, end_line=9, score=1)


def test_the_likeliest_place_comes_first_and_most_often() -> None:
    order = list(islice(asks([place("a"), place("b"), place("c"), place("d")], mechanical=True, refine=True), 40))
    assert [(ask.kind, ask.location.name) for ask in order[:5]] == [
        ("rewrite", "a"),
        ("mechanical", "a"),
        ("explained", "a"),
        ("rewrite", "b"),
        ("mechanical", "b"),
    ]
    refined = [ask.location.name for ask in order if ask.kind == "refine"]
    assert refined[:4] == ["a", "b", "a", "c"]
    assert all(ask.location.name != "d" for ask in order)


def test_more_answers_are_asked_for_before_the_unlikelier_edits() -> None:
    order = [(ask.kind, ask.part) for ask in islice(asks([place("a")]), 4)]
    assert order == [("rewrite", 0), ("mechanical", 0), ("explained", 0), ("mechanical", 1)]


def test_a_stage_can_be_left_out() -> None:
    order = list(islice(asks([place("a")], mechanical=False, refine=False), 20))
    assert {ask.kind for ask in order} == {"rewrite", "explained", "line"}


def test_without_a_place_nothing_is_asked() -> None:
    assert list(asks([], mechanical=True, refine=True)) == []
