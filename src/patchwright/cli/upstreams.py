"""What `patchwright serve` puts behind the gateway: one engine or several, and what may become of their adapters."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from patchwright.cli.assemble import engine_of, is_embedded, upstream_of, upstream_on
from patchwright.cli.balance import balanced_endpoints, balanced_replicas
from patchwright.config import Settings
from patchwright.engines.adapted import AdaptedLlamaCpp
from patchwright.engines.adapters import NamedAdapter
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.errors import ConfigError
from patchwright.policy.connection import Connection
from patchwright.serving.adapters import Adapters, FixedAdapters
from patchwright.serving.loadable_adapters import LoadableAdapters
from patchwright.serving.queue import FairQueue
from patchwright.serving.settings import ServeSettings
from patchwright.serving.upstream import Upstream

_OF_REPLICAS = "replicas keep the adapters that they start with; name them with --adapter, or serve without --replicas"
_OF_OTHERS = (
    "adapters are loaded at run time by one embedded engine of llama.cpp, and this server has another behind it; "
    "`patchwright model merge` makes a model of an adapter, for any engine"
)


def serves_embedded(settings: Settings, serve: ServeSettings) -> bool:
    """Whether llama.cpp runs here, once or in replicas."""
    return is_embedded(settings) and not serve.upstreams


def with_adapters(settings: Settings, serve: ServeSettings, named: Sequence[str]) -> Settings:
    """Those of the settings, and those that are named on the command line. Raises ConfigError."""
    if named and not serves_embedded(settings, serve):
        raise ConfigError(
            "--adapter is for the embedded engine", hint="`patchwright model merge` makes a model of it for others"
        )
    adapters = (*settings.llama_cpp.adapters, *map(_named, named))
    llama_cpp = settings.llama_cpp.model_copy(update={"adapters": adapters})
    return settings.model_copy(update={"llama_cpp": llama_cpp})


@asynccontextmanager
async def opened(
    settings: Settings, serve: ServeSettings, registry: CollectorRegistry, queue: FairQueue
) -> AsyncGenerator[tuple[Upstream, Adapters]]:
    """`queue`: what all requests go through. Raises ConfigError, EngineError and ModelError."""
    if serve.upstreams:
        async with balanced_endpoints(settings, serve, registry, queue) as upstream:
            yield upstream, FixedAdapters(upstream.model, (), _OF_OTHERS)
    elif serve.replicas > 1:
        async with balanced_replicas(settings, serve, registry, queue) as upstream:
            yield upstream, FixedAdapters(upstream.model, settings.llama_cpp.adapters, _OF_REPLICAS)
    elif isinstance(engine := engine_of(settings), LlamaCpp):
        adapted = AdaptedLlamaCpp(engine, settings.state_dir)
        async with Connection.opened(adapted.connect) as connection:
            upstream = await upstream_on(connection, settings)
            yield upstream, LoadableAdapters(adapted, connection, queue, serve.adapters_dir)
    else:
        async with upstream_of(settings) as upstream:
            yield upstream, FixedAdapters(upstream.model, (), _OF_OTHERS)


def _named(text: str) -> NamedAdapter:
    try:
        return NamedAdapter.model_validate(text)
    except ValidationError:
        hint = "write NAME=PATH, the name in up to 64 letters, digits and . _ : -"
        raise ConfigError(f"--adapter {text} names no adapter", hint=hint) from None
