"""The state of a run, as a fold over its events: a run that was interrupted is taken up by folding them again."""

from collections.abc import Iterable

from patchwright.agent.limits import Limits
from patchwright.agent.stuck import Outcome, is_stuck
from patchwright.schema.events import (
    AnyEvent,
    HistoryCompacted,
    Replied,
    SnapshotTaken,
    StepFailed,
    StepStarted,
    StepTakenBack,
    StopReason,
    TestsRun,
    ToolFinished,
    ToolStarted,
)
from patchwright.schema.history import extend
from patchwright.schema.messages import Message, Usage

MALFORMED_IN_A_ROW = 3
FAILURES_IN_A_ROW = 2


class RunState:
    """What the loop decides by. Changed by `add` alone."""

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        self.history: tuple[Message, ...] = ()
        self.usage = Usage()
        self.steps = 0
        self.counted_tokens = 0
        """Tokens of the first `counted_messages` messages, as the endpoint counted them."""
        self.counted_messages = 0
        self.messages_before_step = 0
        self.messages_before_failures = 0
        """Where the history stood before the failed calls that are its end."""
        self.first_snapshot: str | None = None
        self.tree: str | None = None
        """The contents of the work tree as they were last recorded."""
        self.snapshot: str | None = None
        """The latest snapshot."""
        self.tests: TestsRun | None = None
        """The last run of the test command, if the tree has not changed since."""
        self.tests_failed_before = False
        self.failed_calls = 0
        """So many calls in a row have failed, up to the latest."""
        self.finished = False
        self.last_word = ""
        """What the policy said last in its own name, or the endpoint's last error."""
        self._outcomes: list[Outcome] = []
        self._prompt_before_failures = 0
        self._outcomes_before_failures = 0
        self._nudged_at: int | None = None
        self._malformed_in_a_row = 0
        self._failures_in_a_row = 0
        self._started: dict[str, ToolStarted] = {}
        for event in events:
            self.add(event)

    def add(self, event: AnyEvent) -> None:
        self.history = extend(self.history, event)
        match event:
            case StepStarted():
                self.steps += 1
                self.messages_before_step = len(self.history)
                if not self.failed_calls:
                    self.messages_before_failures, self._prompt_before_failures = len(self.history), 0
                    self._outcomes_before_failures = len(self._outcomes)
            case StepFailed():
                self._failures_in_a_row += 1
                self.last_word = event.error
            case Replied():
                self._add_reply(event)
            case ToolStarted():
                self._started[event.call_id] = event
            case ToolFinished():
                self._add_outcome(event)
            case StepTakenBack():
                self.counted_messages = min(self.counted_messages, event.kept_messages)
                self.counted_tokens = self._prompt_before_failures
                del self._outcomes[self._outcomes_before_failures :]
            case HistoryCompacted():
                self.counted_tokens, self.counted_messages = event.tokens_after, len(self.history)
            case SnapshotTaken():
                self.first_snapshot = self.first_snapshot or event.snapshot
                self.snapshot, self.tree, self.tests = event.snapshot, event.tree, None
            case TestsRun():
                self.tests = event
                self.tests_failed_before |= event.when == "before" and event.exit_code != 0
            case _:
                pass

    def stop_reason(self, limits: Limits) -> StopReason | None:
        """Why there is to be no further step, if so."""
        used = self.usage.prompt_tokens + self.usage.completion_tokens
        reasons: list[tuple[bool, StopReason]] = [
            (self.finished, "done"),
            (self._malformed_in_a_row >= MALFORMED_IN_A_ROW, "malformed_calls"),
            (self._failures_in_a_row >= FAILURES_IN_A_ROW, "infrastructure"),
            (self._nudged_at is not None and is_stuck(self._outcomes[self._nudged_at :]), "stuck"),
            (self.steps >= limits.steps, "step_limit"),
            (limits.tokens is not None and used >= limits.tokens, "token_limit"),
        ]
        return next((reason for holds, reason in reasons if holds), None)

    def is_running(self, call_id: str) -> bool:
        """Whether the call was started and has no result."""
        return call_id in self._started

    def needs_nudge(self, latest: Outcome) -> bool:
        """Whether the policy goes round in circles with `latest`, and has not been told so yet."""
        return self._nudged_at is None and is_stuck([*self._outcomes, latest])

    def nudge(self) -> None:
        """The policy is told that it goes round in circles."""
        self._nudged_at = len(self._outcomes) + 1

    def _add_reply(self, event: Replied) -> None:
        self.usage += event.usage
        if event.usage.prompt_tokens:  # not every endpoint reports usage
            self.counted_tokens = event.usage.prompt_tokens + event.usage.completion_tokens
            self.counted_messages = len(self.history)
            self._prompt_before_failures = self._prompt_before_failures or event.usage.prompt_tokens
        self._failures_in_a_row = 0
        if event.problem:
            self._malformed_in_a_row += 1

    def _add_outcome(self, event: ToolFinished) -> None:
        started = self._started.pop(event.message.tool_call_id, None)
        call = f"{started.name} {started.arguments}" if started else event.message.name
        self._outcomes.append(Outcome(call, event.message.content, event.failed))
        self.failed_calls = self.failed_calls + 1 if event.failed else 0
        self._malformed_in_a_row = self._malformed_in_a_row + 1 if event.malformed else 0
        if event.finished:
            self.finished, self.last_word = True, event.message.content
