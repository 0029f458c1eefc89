"""Stop strings in text beside which calls may stand."""

from collections.abc import Sequence


class Stops:
    """Cuts a text at the first of the stop strings, and holds back what may be the beginning of one.

    llama.cpp does the same, but to all it writes: what it holds back of the text comes out with the name of a call that
    follows.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held: str = ""
        self.met = False

    def add(self, text: str) -> str:
        """What may be said now."""
        text = self._held + text
        places = [text.find(stop) for stop in self._stops if stop in text]
        if places:
            self.met, self._held = True, ""
            return text[: min(places)]
        said = len(text) - max((_begun(text, stop) for stop in self._stops), default=0)
        self._held = text[said:]
        return text[:said]

    def rest(self) -> str:
        """What was held back, now that no more text comes."""
        rest, self._held = self._held, ""
        return rest


def _begun(text: str, stop: str) -> int:
    """How much of the stop string the text ends with."""
    return next((length for length in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:length])), 0)
