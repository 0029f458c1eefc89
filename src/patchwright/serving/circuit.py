"""A circuit breaker: whether an upstream that has failed is asked again. https://martinfowler.com/bliki/CircuitBreaker.html"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

FAILURES = 3
"""In a row, of an upstream that is there: one alone may be the request's own fault, and would fail anywhere."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Circuit:
    """Closed: asked as any other. Open: not asked. Half-open, after it has answered a probe: by one request at a time,
    until one gets its first chunk."""

    def __init__(self, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self.state: Literal["closed", "open", "half-open"] = "closed"
        self.pause_s = first_pause_s
        """Until the next probe."""
        self._first_pause_s = first_pause_s
        self._failures = 0
        self._trials = 0

    @property
    def lets_in(self) -> bool:
        return self.state == "closed" or (self.state == "half-open" and not self._trials)

    @contextmanager
    def asked(self) -> Generator[None]:
        """Around each request."""
        trial = self.state == "half-open"
        self._trials += trial
        try:
            yield
        finally:
            self._trials -= trial

    def failed(self, *, gone: bool) -> None:
        """A request has failed. gone: nobody answers any more."""
        self._failures += 1
        if self.state == "half-open":
            self._open_for_longer()
        elif gone or self._failures >= FAILURES:
            self.state = "open"

    def probed(self, *, answers: bool) -> None:
        """A probe has ended. Where a request has succeeded in the meantime, it says nothing new."""
        if self.state == "open" and answers:
            self.state = "half-open"
        elif self.state == "open":
            self._open_for_longer()

    def succeeded(self) -> None:
        """A request has got its first chunk."""
        self.state = "closed"
        self.pause_s = self._first_pause_s
        self._failures = 0

    def _open_for_longer(self) -> None:
        self.state = "open"
        self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
