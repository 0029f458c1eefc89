"""How a run begins: the first snapshot, the first test run and the first two messages; or how it is taken up again."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from patchwright.agent.deadline import Deadline
from patchwright.agent.profile import Profile
from patchwright.agent.prompt import system_message, task_message
from patchwright.agent.state import RunState
from patchwright.agent.tests import TestCommand
from patchwright.errors import ToolError
from patchwright.repo.mentions import shown_files
from patchwright.repo.snapshot import before_run
from patchwright.repo.snapshots import Snapshots
from patchwright.sandbox.base import Sandbox
from patchwright.schema.events import AnyEvent, MessageAdded, RunStarted, SnapshotTaken, TestsRun, ToolFinished
from patchwright.schema.messages import AssistantMessage, ToolMessage, UserMessage

INSTRUCTIONS_FILE = "AGENTS.md"
INTERRUPTED = "interrupted, outcome unknown"
NOT_RUN = "not run: the run was interrupted before it"
GO_ON = "The run was interrupted. Look at the state of the work tree and go on."


@dataclass(frozen=True)
class Opening:
    """Brings a run to its first step."""

    session: str
    model: str
    profile: Profile
    sandbox: Sandbox
    snapshots: Snapshots
    deadline: Deadline
    tests: TestCommand | None
    files: tuple[str, ...]
    """The repository's files, relative to the work tree."""

    async def events(self, task: str, state: RunState) -> AsyncGenerator[AnyEvent]:
        yield RunStarted(
            task=task,
            profile=self.profile.name,
            model=self.model,
            work_tree=str(self.sandbox.root),
            sandbox=self.sandbox.name,
        )
        if state.history:
            for event in taken_up(state, task):
                yield event
            return
        snapshot = await self.snapshots.take(before_run(self.session))
        yield SnapshotTaken(snapshot=snapshot.id, tree=snapshot.tree, label=snapshot.label)
        system = system_message(self.profile, str(self.sandbox.root), await self._instructions())
        yield MessageAdded(message=system)
        tests = await self.deadline.within(self.tests.run("before")) if self.tests else None
        if tests:
            yield tests
        yield MessageAdded(message=task_message(task, tests, await self._shown(task, tests)))

    async def _instructions(self) -> str:
        try:
            return (await self.sandbox.read(INSTRUCTIONS_FILE)).decode("utf-8", errors="replace")
        except ToolError:
            return ""

    async def _shown(self, task: str, tests: TestsRun | None) -> dict[str, str]:
        if not self.profile.shows_mentioned_files:
            return {}
        return await shown_files(self.sandbox, self.files, task, tests.output if tests else "")


def taken_up(state: RunState, task: str) -> list[AnyEvent]:
    """What to add to an interrupted history so that it can go on with roles alternating.

    Calls without a result are answered, never run again. A user message needs one of the policy's before it.
    """
    events: list[AnyEvent] = [ToolFinished(message=message, duration_s=0.0, failed=True) for message in _answers(state)]
    history = state.history
    if not task and (events or not isinstance(history[-1], AssistantMessage)):
        return events
    if events or not isinstance(history[-1], AssistantMessage):
        events.append(MessageAdded(message=AssistantMessage(content="(interrupted)")))
    return [*events, MessageAdded(message=UserMessage(content=task or GO_ON))]


def _answers(state: RunState) -> list[ToolMessage]:
    """An answer for each call of the last reply that has none."""
    history = state.history
    last = next((i for i in reversed(range(len(history))) if isinstance(history[i], AssistantMessage)), None)
    if last is None:
        return []
    reply, rest = history[last], history[last + 1 :]
    answered = {message.tool_call_id for message in rest if isinstance(message, ToolMessage)}
    calls = reply.tool_calls if isinstance(reply, AssistantMessage) else ()
    return [
        ToolMessage(tool_call_id=call.id, name=call.name, content=INTERRUPTED if state.is_running(call.id) else NOT_RUN)
        for call in calls
        if call.id not in answered
    ]
