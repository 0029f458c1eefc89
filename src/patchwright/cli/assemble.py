"""Puts a run together: engine, policy, sandbox, tools, snapshots and agent, from settings and options."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

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
from patchwright.engines.base import ALONE, Engine, Replica
from patchwright.engines.installation import Installation
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.openvino import OpenVino
from patchwright.engines.remote import Remote
from patchwright.engines.transformers import Transformers
from patchwright.engines.vllm import Vllm
from patchwright.errors import ConfigError, ModelError
from patchwright.models.catalogue import CatalogueEntry
from patchwright.models.reference import resolve
from patchwright.models.store import ModelStore
from patchwright.models.system_prompt import agents_prompt
from patchwright.models.tokenizer import devstrals_tekken_file, has_devstrals_tokens, has_tekken
from patchwright.policy.base import Policy
from patchwright.policy.connection import Connection
from patchwright.policy.openai import OpenAIPolicy
from patchwright.repo.snapshots import Snapshots
from patchwright.sandbox.kinds import SandboxKind, open_sandbox
from patchwright.schema.messages import Calling
from patchwright.tools.search import own_ripgrep
from patchwright.tools.toolbox import open_toolbox

if TYPE_CHECKING:
    from patchwright.chat.mistral.tokens import MistralTokens
    from patchwright.serving.upstream import Upstream


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


def engine_of(settings: Settings, replica: Replica = ALONE) -> Engine:
    """Somebody else's endpoint if one is named, otherwise the engine that the settings name, or one of its replicas.

    Raises ConfigError and ModelError; nothing is fetched.
    """
    if settings.base_url:
        named = "model" in settings.model_fields_set
        return Remote(settings.base_url, settings.model if named else None, api_key_of(settings))
    path = weights_of(settings)
    if path is None:
        raise ModelError(
            f"the model {settings.model} is not on this machine", hint=f"`patchwright model pull {settings.model}`"
        )
    return _engine_for(settings, path, resolve(settings.model).name, replica)


def _engine_for(settings: Settings, path: Path, name: str, replica: Replica) -> Engine:
    if settings.engine in {"llama.cpp", "openvino"} and path.is_dir():
        raise ModelError(
            f"{path} is a directory, and {settings.engine} runs a .gguf file",
            hint="`patchwright model convert` writes one; `--engine vllm` runs the directory as it is",
        )
    if settings.engine == "llama.cpp":
        return LlamaCpp(path, settings.llama_cpp, settings.state_dir, model_name=name, replica=replica)
    installation = Installation(settings.data_dir / "engines", settings.engine)
    if settings.engine == "vllm":
        return Vllm(path, settings.vllm, settings.state_dir, installation, name)
    if settings.engine == "openvino":
        if has_tekken(path):
            raise ModelError(
                f"OpenVINO GenAI splits text otherwise than Tekken, the tokenizer of {path.name}",
                hint="`--engine llama.cpp` reads the same file, token for token",
            )
        return OpenVino(path, settings.openvino, settings.state_dir, installation, name)
    return Transformers(path, settings.transformers, settings.state_dir, installation, name)


def profile_of(settings: Settings, named: str | None) -> Profile:
    """The profile that the user names, else the one that suits the model, with the publisher's own system prompt where
    it lies beside Devstral's weights. Raises ConfigError and ModelError."""
    profile = _profile(settings, named)
    path = None if settings.base_url or profile != DEVSTRAL else weights_of(settings)
    return profile.model_copy(update={"published_prompt": agents_prompt(path)}) if path else profile


def _profile(settings: Settings, named: str | None) -> Profile:
    """`small` for weights that nobody knows, since a grammar helps any model along, and `devstral` for endpoints and
    vLLM, which call tools natively, and for Devstral. The others read no calls out of an answer."""
    if named:
        return profile_named(named)
    if settings.base_url or settings.engine == "vllm" or is_devstral(settings):
        return DEVSTRAL
    if settings.engine in {"transformers", "openvino"}:
        return SMALL
    reference = resolve(settings.model)
    return profile_named(reference.profile) if isinstance(reference, CatalogueEntry) else SMALL


@asynccontextmanager
async def connected(engine: Engine, settings: Settings, calling: Calling = "native") -> AsyncGenerator[Policy]:
    """The engine's policy: Devstral on the embedded engine is spoken to in its own tokens, unless it is to call tools
    in another way than its own, everything else as OpenAI's clients do. Raises EngineError and ModelError."""
    if calling != "native" or not await asyncio.to_thread(is_devstral, settings):
        async with OpenAIPolicy.connected(engine.connect) as policy:
            yield policy
        return
    from patchwright.policy.mistral import MistralPolicy

    tokens = await asyncio.to_thread(_mistral_tokens, settings.data_dir / "tokenizers")
    async with MistralPolicy.connected(engine.connect, tokens) as policy:
        yield policy


@asynccontextmanager
async def upstream_of(settings: Settings) -> AsyncGenerator["Upstream"]:
    """The settings' engine as the gateway sees it. Raises ConfigError, EngineError and ModelError."""
    async with Connection.opened(engine_of(settings).connect) as connection:
        yield await upstream_on(connection, settings)


async def upstream_on(connection: Connection, settings: Settings) -> "Upstream":
    """The same, on a connection to the settings' engine. Raises ModelError."""
    from patchwright.serving.openai_upstream import OpenAIUpstream
    from patchwright.serving.slots import Slotted

    if not is_embedded(settings):
        return OpenAIUpstream(connection)
    if not await asyncio.to_thread(is_devstral, settings):
        return Slotted(OpenAIUpstream(connection), settings.llama_cpp.slots)
    from patchwright.serving.mistral_upstream import MistralUpstream

    tokens = await asyncio.to_thread(_mistral_tokens, settings.data_dir / "tokenizers")
    return Slotted(MistralUpstream(connection, tokens), settings.llama_cpp.slots)


def is_embedded(settings: Settings) -> bool:
    """Whether llama.cpp runs here, and no endpoint takes its place."""
    return settings.engine == "llama.cpp" and not settings.base_url


def is_devstral(settings: Settings) -> bool:
    """Whether the embedded engine runs a model with Devstral's vocabulary. Raises ModelError when it cannot be read."""
    if not is_embedded(settings):
        return False
    path = weights_of(settings)
    return path is not None and path.is_file() and has_devstrals_tokens(path)


def weights_of(settings: Settings) -> Path | None:
    """The settings' model on this machine: a file or a directory; None when it is not here. Raises ModelError."""
    return ModelStore(settings.data_dir / "models").find(resolve(settings.model))


@asynccontextmanager
async def assembled(job: Job, engine: Engine, settings: Settings) -> AsyncGenerator[Agent]:
    """The agent, ready to run. Raises EngineError and SandboxError."""
    readable = (*settings.sandbox.readable, own_ripgrep())
    async with (
        connected(engine, settings, job.profile.calling) as policy,
        open_sandbox(job.sandbox, job.work_tree, settings.sandbox.model_copy(update={"readable": readable})) as sandbox,
    ):
        snapshots = Snapshots(job.work_tree, settings.state_dir / "snapshots")
        toolbox = open_toolbox(job.profile.tools, sandbox, job.profile.observation_chars)
        tests = TestCommand(job.test_command, sandbox, job.limits.longest_tests_s) if job.test_command else None
        deadline = Deadline(job.limits.time_s, job.stop)
        opening = Opening(job.session, policy.name, job.profile, sandbox, snapshots, deadline, tests, job.files)
        calls = ToolCalls(toolbox, job.permission, snapshots, deadline, tests, job.profile)
        budget = Budget(policy, toolbox.specs, job.profile.reply_tokens)
        yield Agent(policy, job.profile, job.limits, deadline, opening, calls, budget, snapshots)


@cache
def _mistral_tokens(directory: Path) -> "MistralTokens":
    """Read once, which takes two seconds: an agent may be started many times."""
    try:
        from patchwright.chat.mistral.tokens import MistralTokens

        return MistralTokens(devstrals_tekken_file(directory))
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{error.name} is not installed, and Devstral's conversations are written with it",
            hint="`pip install 'patchwright[mistral]'`",
        ) from None


def api_key_of(settings: Settings) -> SecretStr | None:
    """The key of somebody else's endpoint. Raises ConfigError when the variable that should hold it is not set."""
    if (variable := settings.api_key_env) is None:
        return None
    if not (value := os.environ.get(variable)):
        raise ConfigError(f"the variable {variable} is not set", hint="it should hold the endpoint's key")
    return SecretStr(value)
