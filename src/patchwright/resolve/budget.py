"""The time of a resolution, and what each stage may take of it."""

import time
from typing import Literal

Stage = Literal["baseline", "localise", "reproduce", "propose", "verify"]

SHARES: dict[Stage, float] = {"baseline": 0.25, "localise": 0.15, "reproduce": 0.3, "propose": 1.0, "verify": 1.0}
"""Of the whole time, at most. What a stage leaves, the later ones have."""


JUDGING_S = 10.0
"""What a verdict takes beside the tests: to collect the patch, to copy the work tree, to run the reproduction."""


TEST_S = 5.0
"""One test may take so long on the untouched tree, and on a changed one at most."""
LEAST_TEST_S = 2.0
PROGRAM_S = 30.0
"""The program that shows the issue may take so long on the untouched tree, and with a candidate at most."""
LEAST_PROGRAM_S = 10.0
"""What it does once it no longer fails was not timed."""
SLOWER = 5


class Budget:
    """Counts down from `time_s`, and how long each stage has taken."""

    def __init__(self, time_s: float) -> None:
        self.seconds: dict[str, float] = {}
        self._time_s = time_s
        self._started = time.monotonic()

    @property
    def used_s(self) -> float:
        return time.monotonic() - self._started

    @property
    def left_s(self) -> float:
        return max(0.0, self._time_s - self.used_s)

    def share_s(self, stage: Stage) -> float:
        """Seconds that the stage may take from now on."""
        return min(self.left_s, SHARES[stage] * self._time_s - self.seconds.get(stage, 0.0))

    def before_judging_s(self, suite_s: float) -> float:
        """Seconds from now on for making one candidate, so that it can be judged in time; negative when there are none.

        What is verified is run twice. `suite_s`: how long the tests take, of which no run counts for more than a
        quarter of what is left.
        """
        return self.left_s - JUDGING_S - 2 * min(suite_s, self.left_s / 4)

    def took(self, stage: Stage, duration_s: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + duration_s


def limit_of_a_test_s(slowest_s: float | None) -> float:
    """What one test may take with a candidate, where the slowest that passed before took `slowest_s`.

    A test that hangs takes all of it, and takes it again for each candidate.
    """
    return TEST_S if slowest_s is None else min(TEST_S, max(LEAST_TEST_S, SLOWER * slowest_s))


def limit_of_a_program_s(failing_s: float) -> float:
    """The same for the program that shows the issue, which took `failing_s` to fail."""
    return min(PROGRAM_S, max(LEAST_PROGRAM_S, SLOWER * failing_s))
