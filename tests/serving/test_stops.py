"""Stop strings in a text that arrives in pieces."""

import time
from collections.abc import Sequence

import pytest

from patchwright.serving.body import ChatBody
from patchwright.serving.stops import Stops


@pytest.mark.parametrize(
    ("stops", "pieces", "said", "met"),
    [
        (["Observation:"], ["I see. Obs", "ervation: 1"], "I see. ", True),
        (["Observation:"], ["I see. Obs", "idian"], "I see. Obsidian", False),
        (["b", "ab"], ["xa", "b"], "x", True),
        (["aab"], ["a", "a", "a", "b"], "a", True),
        ([], ["x", "y"], "xy", False),
    ],
)
def test_a_text_ends_where_a_stop_string_begins(
    stops: Sequence[str], pieces: Sequence[str], said: str, met: bool
) -> None:
    text = Stops(stops)
    assert "".join([*map(text.add, pieces), text.rest()]) == said
    assert text.met is met


def test_a_long_stop_string_takes_no_time() -> None:
    text = Stops(["x" * 1_000_000])
    started = time.process_time()
    for _ in range(1000):
        text.add("y")
    assert time.process_time() - started < 1


def test_an_empty_stop_string_stops_nothing() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert ChatBody.model_validate({"messages": messages, "stop": ""}).stops == ()
    assert ChatBody.model_validate({"messages": messages, "stop": ["", "a"]}).stops == ("a",)
