"""Puts a run together: engine, policy, sandbox, tools, snapshots and agent, from settings and options."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from patchwright.agent.agent import Agent
from patchwright.agent.budget import Budget
from patchwright.agent.calls import ToolCalls
from patchwright.agent.deadline import Deadline
from patchwright.agent.limits import Limits
from patchwright.agent.opening import Opening
from patchwright.agent.permission import Permission
from patchwright.agent.profile import DEVSTRAL, SMALL, Profile, profile_named
from patchwright.agent.tests import TestCommand
from patchwright.config import Settings
from patchwright.engines.base import Engine
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.remote import Remote
from patchwright.errors import ConfigError, ModelError
from patchwright.models.catalogue import CatalogueEntry
from patchwright.models.reference import resolve
from patchwright.models.store import ModelStore
from patchwright.models.tokenizer import tekken_file
from patchwright.policy.base import Policy
from patchwright.policy.openai import OpenAIPolicy
from patchwright.repo.snapshots import Snapshots
from patchwright.sandbox.kinds import SandboxKind, open_sandbox
from patchwright.tools.search import own_ripgrep
from patchwright.tools.toolbox import open_toolbox


@dataclass(frozen=True)
class Job:
    """What one run is to do, and within what."""

    session: str
    work_tree: Path
    files: tuple[str, ...]
    test_command: str | None
    profile: Profile
    limits: Limits
    sandbox: SandboxKind
    permission: Permission
    stop: asyncio.Event


def engine_of(settings: Settings) -> Engine:
    """Somebody else's endpoint if one is named, otherwise the embedded engine.

    Raises ConfigError and ModelError; nothing is fetched.
    """
    if settings.base_url:
        named = "model" in settings.model_fields_set
        return Remote(settings.base_url, settings.model if named else None, _api_key(settings.api_key_env))
    reference = resolve(settings.model)
    path = ModelStore(settings.data_dir / "models").find(reference)
    if path is None:
        raise ModelError(
            f"the model {settings.model} is not on this machine", hint=f"`patchwright model pull {settings.model}`"
        )
    return LlamaCpp(path, settings.engine, settings.state_dir, model_name=reference.name)


def profile_of(settings: Settings, named: str | None) -> Profile:
    """The profile that the user names, else the one that suits the model: `small` for weights that nobody knows,
    since a grammar helps any model along, and `devstral` for endpoints, which call tools natively."""
    if named:
        return profile_named(named)
    if settings.base_url:
        return DEVSTRAL
    reference = resolve(settings.model)
    return profile_named(reference.profile) if isinstance(reference, CatalogueEntry) else SMALL


@asynccontextmanager
async def connected(engine: Engine, settings: Settings) -> AsyncGenerator[Policy]:
    """The engine's policy: spoken to in Mistral's tokens where the model is Devstral on the embedded engine, elsewhere
    as OpenAI's clients do. Raises EngineError and ModelError."""
    tekken = None if settings.base_url else _tekken_file(settings)
    if tekken is None:
        async with OpenAIPolicy.connected(engine.connect) as policy:
            yield policy
        return
    from patchwright.chat.mistral.tokens import MistralTokens
    from patchwright.policy.mistral import MistralPolicy

    async with MistralPolicy.connected(engine.connect, await asyncio.to_thread(MistralTokens, tekken)) as policy:
        yield policy


@asynccontextmanager
async def assembled(job: Job, engine: Engine, settings: Settings) -> AsyncGenerator[Agent]:
    """The agent, ready to run. Raises EngineError and SandboxError."""
    readable = (*settings.sandbox.readable, own_ripgrep())
    async with (
        connected(engine, settings) as policy,
        open_sandbox(job.sandbox, job.work_tree, settings.sandbox.model_copy(update={"readable": readable})) as sandbox,
    ):
        snapshots = Snapshots(job.work_tree, settings.state_dir / "snapshots")
        toolbox = open_toolbox(job.profile.tools, sandbox, job.profile.observation_chars)
        tests = TestCommand(job.test_command, sandbox, job.limits.test_time_s) if job.test_command else None
        deadline = Deadline(job.limits.time_s, job.stop)
        opening = Opening(job.session, policy.name, job.profile, sandbox, snapshots, deadline, tests, job.files)
        calls = ToolCalls(toolbox, job.permission, snapshots, deadline, tests, job.profile)
        budget = Budget(policy, toolbox.specs, job.profile.reply_tokens)
        yield Agent(policy, job.profile, job.limits, deadline, opening, calls, budget, snapshots)


def _tekken_file(settings: Settings) -> Path | None:
    path = ModelStore(settings.data_dir / "models").find(resolve(settings.model))
    return tekken_file(path, settings.data_dir / "tokenizers") if path and path.is_file() else None


def _api_key(variable: str | None) -> SecretStr | None:
    if variable is None:
        return None
    if not (value := os.environ.get(variable)):
        raise ConfigError(f"the variable {variable} is not set", hint="it should hold the endpoint's key")
    return SecretStr(value)
