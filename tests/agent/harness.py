"""An agent with a real sandbox, real tools and a real repository; only what the policy says is scripted."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from patchwright.agent.agent import Agent
from patchwright.agent.budget import Budget
from patchwright.agent.calls import ToolCalls
from patchwright.agent.deadline import Deadline
from patchwright.agent.limits import Limits
from patchwright.agent.opening import Opening
from patchwright.agent.permission import AllowAll, Permission
from patchwright.agent.profile import DEVSTRAL, Profile
from patchwright.agent.tests import TestCommand
from patchwright.policy.base import Policy
from patchwright.policy.scripted import Line, ScriptedPolicy
from patchwright.repo.snapshots import Snapshots
from patchwright.repo.work_tree import files_of
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.events import AnyEvent, Replied, RunFinished, StepStarted, ToolFinished
from patchwright.schema.messages import ToolCall
from patchwright.tools.toolbox import open_toolbox

NO_LIMITS = Limits()


@dataclass(frozen=True)
class Told:
    """Permission as it was told beforehand, call by call."""

    decisions: Iterable[Literal["allow", "deny", "stop"]]

    async def ask(self, call: ToolCall) -> Literal["allow", "deny", "stop"]:
        return next(iter(self.decisions))


@asynccontextmanager
async def agent_in(
    repository: Path,
    policy: Policy,
    *,
    profile: Profile = DEVSTRAL,
    limits: Limits = NO_LIMITS,
    test_command: str | None = None,
    permission: Permission | None = None,
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[Agent]:
    store_dir = repository.parent / "snapshots"
    async with open_sandbox("bubblewrap", repository, SandboxSettings()) as sandbox:
        snapshots = Snapshots(repository, store_dir)
        toolbox = open_toolbox(profile.tools, sandbox, profile.observation_chars)
        tests = TestCommand(test_command, sandbox, limits.longest_tests_s) if test_command else None
        deadline = Deadline(limits.time_s, stop or asyncio.Event())
        files = await files_of(repository)
        opening = Opening("s1", policy.name, profile, sandbox, snapshots, deadline, tests, files)
        calls = ToolCalls(toolbox, permission or AllowAll(), snapshots, deadline, tests, profile)
        budget = Budget(policy, toolbox.specs, profile.reply_tokens)
        yield Agent(policy, profile, limits, deadline, opening, calls, budget, snapshots)


async def events_of(
    repository: Path,
    script: Iterable[Line] | Policy,
    *,
    earlier: Sequence[AnyEvent] = (),
    task: str = "Make add add.",
    profile: Profile = DEVSTRAL,
    limits: Limits = NO_LIMITS,
    test_command: str | None = None,
    permission: Permission | None = None,
) -> list[AnyEvent]:
    """A whole run's events."""
    policy = ScriptedPolicy(script) if isinstance(script, Iterable) else script
    async with agent_in(
        repository, policy, profile=profile, limits=limits, test_command=test_command, permission=permission
    ) as agent:
        return [event async for event in agent.run(task, earlier)]


def finish_of(events: Sequence[AnyEvent]) -> RunFinished:
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last


def observations_of(events: Sequence[AnyEvent]) -> list[ToolFinished]:
    return [event for event in events if isinstance(event, ToolFinished)]


def steps_of(events: Sequence[AnyEvent]) -> list[StepStarted]:
    return [event for event in events if isinstance(event, StepStarted)]


def replies_of(events: Sequence[AnyEvent]) -> list[Replied]:
    return [event for event in events if isinstance(event, Replied)]
