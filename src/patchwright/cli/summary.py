"""What a run comes to, as a fold over its events."""

from patchwright.schema.events import AnyEvent, Replied, RunFinished, TestsRun
from patchwright.schema.messages import Usage


class Summary:
    """Collects what the last lines of every view state."""

    def __init__(self) -> None:
        self.tests_before: TestsRun | None = None
        self.tests_after: TestsRun | None = None
        self.finished: RunFinished | None = None
        self._replies: list[Usage] = []

    def add(self, event: AnyEvent) -> None:
        match event:
            case TestsRun(when="before"):
                self.tests_before = event
            case TestsRun():
                self.tests_after = event
            case Replied():
                self._replies.append(event.usage)
            case RunFinished():
                self.finished = event
            case _:
                pass

    @property
    def cached_share(self) -> float | None:
        """Prompt tokens from the prefix cache, of all those of the second and later requests; None without any."""
        later = sum(self._replies[1:], start=Usage())
        return later.cached_tokens / later.prompt_tokens if later.prompt_tokens else None

    def lines(self) -> list[str]:
        """Evidence and costs, a line each."""
        if self.finished is None:
            return []
        return [line for line in (self._outcome(), self._evidence(), self._costs()) if line]

    def _outcome(self) -> str:
        finished = self.finished
        if finished is None:
            return ""
        word = finished.message.strip().partition("\n")[0]
        return f"{finished.reason.replace('_', ' ')}: {word}" if word else finished.reason.replace("_", " ")

    def _evidence(self) -> str:
        last = self.tests_after or self.tests_before
        if last is None:
            return "tests: none were given (--test-command), so nothing proves this patch"
        before = _verdict(self.tests_before)
        after = _verdict(self.tests_after) if self.tests_after else "not run again"
        return f"tests: {before} before, {after} after: {last.command}"

    def _costs(self) -> str:
        finished = self.finished
        if finished is None:
            return ""
        usage = finished.usage
        costs = [
            f"{finished.steps} step{'' if finished.steps == 1 else 's'} in {finished.duration_s:.0f} s",
            f"{usage.prompt_tokens} prompt tokens",
            f"{usage.completion_tokens} completion tokens",
        ]
        if self.cached_share is not None:
            costs.append(f"{self.cached_share:.0%} of the later prompts from the prefix cache")
        return ", ".join(costs)


def _verdict(tests: TestsRun | None) -> str:
    if tests is None:
        return "not run"
    return "passed" if tests.exit_code == 0 else f"failed ({tests.exit_code})"
