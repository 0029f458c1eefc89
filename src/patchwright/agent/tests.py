"""The user's test command: the evidence that a task is done."""

from typing import Literal

from patchwright.sandbox.base import Sandbox
from patchwright.schema.events import TestsRun

SHOWN_CHARS = 3_000


class TestCommand:
    """A shell command that exits with 0 when all is well, run in the sandbox from the top of the work tree."""

    __test__ = False  # not a test class, whatever its name says to pytest

    def __init__(self, command: str, sandbox: Sandbox, time_s: float) -> None:
        self.command = command
        self._sandbox = sandbox
        self._time_s = time_s

    async def run(self, when: Literal["before", "after"]) -> TestsRun:
        result = await self._sandbox.run(self.command, timeout_s=self._time_s, fresh=True)
        output = result.output
        if result.timed_out:
            output += f"\n(stopped after {self._time_s:g} s)"
        return TestsRun(
            when=when,
            command=self.command,
            exit_code=result.exit_code,
            output=output,
            duration_s=result.duration_s,
        )


def passed(tests: TestsRun) -> bool:
    return tests.exit_code == 0


def report(tests: TestsRun) -> str:
    """What the policy is told of a test run: a word when it passed, the end of the output when it failed."""
    if passed(tests):
        return f"The tests pass: `{tests.command}` exits with 0."
    tail = tests.output[-SHOWN_CHARS:]
    return f"The tests fail: `{tests.command}` exits with {tests.exit_code}. The end of its output:\n{tail}"
