"""Carrying out tool calls: permission, the call itself, a snapshot, the tests, and what the policy sees of it all."""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from patchwright.agent.deadline import Deadline, Stopped
from patchwright.agent.permission import Permission
from patchwright.agent.profile import Profile
from patchwright.agent.state import RunState
from patchwright.agent.stuck import Outcome
from patchwright.agent.tests import TestCommand, passed, report
from patchwright.errors import ToolError
from patchwright.repo.snapshot import after_step
from patchwright.repo.snapshots import Snapshots
from patchwright.schema.events import AnyEvent, SnapshotTaken, StepTakenBack, TestsRun, ToolFinished, ToolStarted
from patchwright.schema.messages import ToolCall, ToolMessage
from patchwright.tools.base import Observation
from patchwright.tools.toolbox import MalformedCall, Toolbox

NUDGE = "\n\n(You have done this several times with the same result. Do something else, or call finish.)"
TAKEN_BACK = "This edit does not make the tests pass, so it was taken back."
DENIED = "The user denied this call. Do something else, or call finish."


@dataclass(frozen=True)
class ToolCalls:
    """Carries out one call after another."""

    toolbox: Toolbox
    permission: Permission
    snapshots: Snapshots
    deadline: Deadline
    tests: TestCommand | None
    profile: Profile

    async def carry_out(self, call: ToolCall, state: RunState) -> AsyncGenerator[AnyEvent]:
        """Raises Stopped when the time is up or the user wants no more."""
        started = time.monotonic()
        decision = await self.permission.ask(call)
        yield ToolStarted(call_id=call.id, name=call.name, arguments=call.arguments)
        observation, vain = Observation(text=DENIED, failed=True), False
        if decision == "allow":
            observation = await self.deadline.within(self._observe(call))
            tests = state.tests if observation.finished else None
            async for event in self._evidence(observation, state):
                tests = event if isinstance(event, TestsRun) else tests
                yield event
            if tests:
                vain = self._is_vain(observation, tests, state)
                observation = self._judged(observation, tests, state, vain=vain)
        yield self._finished(call, observation, state, time.monotonic() - started)
        if self._starts_afresh(observation, state, vain=vain):
            yield StepTakenBack(kept_messages=state.messages_before_failures)
        if decision == "stop":
            raise Stopped("refused", "the user stopped the run")

    async def _observe(self, call: ToolCall) -> Observation:
        try:
            return await self.toolbox.call(call)
        except MalformedCall as error:
            return Observation(text=str(error), failed=True, malformed=True)
        except ToolError as error:
            return Observation(text=str(error), failed=True)

    async def _evidence(self, observation: Observation, state: RunState) -> AsyncGenerator[AnyEvent]:
        """A snapshot, if the call changed the work tree; a run of the tests, if they are due; a way back from an edit
        that is in vain."""
        earlier = state.snapshot
        snapshot = await self.snapshots.take(after_step(state.steps))
        changed = snapshot.tree != state.tree
        if changed:
            yield SnapshotTaken(snapshot=snapshot.id, tree=snapshot.tree, label=snapshot.label)
        due = (changed and self.profile.tests_after_edit) or (observation.finished and state.tests is None)
        if not (self.tests and due):
            return
        tests = await self.deadline.within(self.tests.run("after"))
        yield tests
        if earlier and self._is_vain(observation, tests, state):
            back = (await self.snapshots.restore(await self.snapshots.find(earlier))).after
            yield SnapshotTaken(snapshot=back.id, tree=back.tree, label=back.label)

    def _is_vain(self, observation: Observation, tests: TestsRun, state: RunState) -> bool:
        """Whether it was an edit after which the tests fail as they did before, and such edits are not to stay."""
        edited = self.profile.starts_afresh and not observation.finished
        return edited and state.tests_failed_before and not passed(tests)

    def _starts_afresh(self, observation: Observation, state: RunState, *, vain: bool) -> bool:
        """Whether the failed calls at the end of the history are to leave it."""
        again = state.messages_before_failures < state.messages_before_step
        return self.profile.starts_afresh and observation.failed and (again or vain)

    def _judged(self, observation: Observation, tests: TestsRun, state: RunState, *, vain: bool) -> Observation:
        """The observation with what the tests showed.

        The run is not finished as long as they fail. Where they run after each edit, it is finished as soon as they
        pass, if they failed before: a weak model that goes on after that does harm.
        """
        if observation.finished and passed(tests):
            return observation
        if vain:
            return observation.model_copy(update={"text": f"{report(tests)}\n\n{TAKEN_BACK}", "failed": True})
        if state.tests_failed_before and passed(tests):
            return observation.model_copy(update={"text": f"{report(tests)}\n\n{observation.text}", "finished": True})
        return observation.model_copy(update={"text": f"{observation.text}\n\n{report(tests)}", "finished": False})

    def _finished(self, call: ToolCall, observation: Observation, state: RunState, duration_s: float) -> ToolFinished:
        text = observation.text
        if state.needs_nudge(Outcome(f"{call.name} {call.arguments}", text, observation.failed)):
            state.nudge()
            text += NUDGE
        return ToolFinished(
            message=ToolMessage(tool_call_id=call.id, name=call.name, content=text),
            duration_s=duration_s,
            failed=observation.failed,
            malformed=observation.malformed,
            finished=observation.finished,
            diff=observation.diff,
        )
