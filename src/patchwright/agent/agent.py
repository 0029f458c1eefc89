"""The agent: a loop of policy calls and tool calls that yields everything that happens as events."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from patchwright.agent.budget import Budget
from patchwright.agent.calls import ToolCalls
from patchwright.agent.deadline import Deadline, Stopped
from patchwright.agent.limits import Limits
from patchwright.agent.opening import Opening
from patchwright.agent.profile import Profile
from patchwright.agent.sample import sample
from patchwright.agent.state import RunState
from patchwright.errors import EngineError, SandboxError
from patchwright.policy.base import Policy
from patchwright.repo.snapshots import Snapshots
from patchwright.schema.events import AnyEvent, MessageAdded, Replied, RunFinished, StepStarted, StopReason
from patchwright.schema.messages import Request, UserMessage


@dataclass(frozen=True)
class Agent:
    """Carries out a task. Its collaborators are open when it gets them, and stay open after it."""

    policy: Policy
    profile: Profile
    limits: Limits
    deadline: Deadline
    opening: Opening
    calls: ToolCalls
    budget: Budget
    snapshots: Snapshots

    async def run(self, task: str, earlier: Sequence[AnyEvent] = ()) -> AsyncGenerator[AnyEvent]:
        """Works on `task` until RunFinished, going on after `earlier`, the events of an interrupted run.

        The next thing is done only when the consumer has taken the last event: what it stores before it asks
        for more cannot be lost. Raises RepositoryError; failures of engine and sandbox end up in RunFinished.
        """
        state = RunState(earlier)
        async with aclosing(self._events(task, state)) as events:
            async for event in events:
                state.add(event)
                yield event

    async def _events(self, task: str, state: RunState) -> AsyncGenerator[AnyEvent]:
        started = time.monotonic()
        reason: StopReason | None = None
        message = ""
        try:
            async for event in self.opening.events(task, state):
                yield event
            while (reason := state.stop_reason(self.limits)) is None:
                async for event in self._step(state):
                    yield event
        except Stopped as stopped:
            reason, message = stopped.reason, str(stopped)
        except (EngineError, SandboxError) as error:
            reason, message = "infrastructure", str(error)
        yield await self._finish(reason, message or state.last_word, state, time.monotonic() - started)

    async def _step(self, state: RunState) -> AsyncGenerator[AnyEvent]:
        if compacted := await self.deadline.within(self.budget.compacted(state)):
            yield compacted
        yield StepStarted(step=state.steps + 1, prompt_tokens=await self.budget.prompt_tokens(state))
        replied: Replied | None = None
        async for event in sample(self.policy, self._request(state), self.deadline):
            replied = event if isinstance(event, Replied) else None
            yield event
        if replied is None:
            return
        if replied.problem:
            yield MessageAdded(message=UserMessage(content=f"Error: {replied.problem}"))
        for call in replied.message.tool_calls:
            async for event in self.calls.carry_out(call, state):
                yield event

    def _request(self, state: RunState) -> Request:
        sampling = self.profile.sampling_after(state.failed_calls)
        sampling = sampling.model_copy(update={"max_tokens": self.budget.reply_tokens})
        return Request(messages=state.history, tools=self.budget.tools, calling=self.profile.calling, sampling=sampling)

    async def _finish(self, reason: StopReason, message: str, state: RunState, duration_s: float) -> RunFinished:
        return RunFinished(
            reason=reason,
            message=message,
            patch=await self._patch(state),
            steps=state.steps,
            usage=state.usage,
            duration_s=duration_s,
        )

    async def _patch(self, state: RunState) -> str:
        if state.first_snapshot is None:
            return ""
        return await self.snapshots.diff(await self.snapshots.find(state.first_snapshot))
