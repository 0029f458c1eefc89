"""`patchwright serve`: one OpenAI-compatible endpoint for every agent."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchwright.engines.base import EngineName
from patchwright.engines.recipe import Device

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator, Mapping, Sequence

    from patchwright.config import Settings
    from patchwright.serving.guard import Guard
    from patchwright.serving.settings import ServeSettings

app = typer.Typer(add_completion=False)

GRACE_S = 10
"""For answers that are being worked on when the server is told to end."""


@app.command()
def serve(
    model: Annotated[str | None, typer.Option(help="A model's name, a file or directory, hf:owner/repo/file.")] = None,
    engine: Annotated[EngineName | None, typer.Option(help="What runs the model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Somebody else's endpoint, instead of an engine here.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds that endpoint's key.")] = None,
    upstream: Annotated[list[str] | None, typer.Option(help="An endpoint; several of one model are balanced.")] = None,
    replicas: Annotated[
        str | None, typer.Option(help="Embedded engines, balanced; on a cluster N or MIN..MAX.")
    ] = None,
    tensor_parallel_size: Annotated[int | None, typer.Option(min=1, help="GPUs for each vLLM engine.")] = None,
    host: Annotated[str | None, typer.Option(help="Where to listen. Any but loopback asks for keys.")] = None,
    port: Annotated[int | None, typer.Option(help="0: one that is free.")] = None,
    adapter: Annotated[list[str] | None, typer.Option(help="NAME=PATH of a LoRA adapter: a model of its own.")] = None,
    queue: Annotated[int | None, typer.Option(help="Requests that may wait.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Answers that other engines are asked for at once.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The most tokens of one answer.")] = None,
    system_prompt: Annotated[str | None, typer.Option(help="A file: for conversations that bring none.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="A name that the server may be called by.")] = None,
    allow_origin: Annotated[list[str] | None, typer.Option(help="A web page that may use the server.")] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Deploy on a Ray cluster, instead of serving here.")
    ] = False,
    cluster_address: Annotated[
        str, typer.Option(envvar="RAY_DASHBOARD_ADDRESS", help="Its dashboard.")
    ] = "http://127.0.0.1:8265",
    cluster_config: Annotated[Path | None, typer.Option(help="A file to write Ray Serve's config to.")] = None,
    device: Annotated[Device, typer.Option(help="What the cluster's machines compute on.")] = "cuda",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print Ray Serve's config, and deploy nothing.")] = False,
) -> None:
    """Serve a model to agents and SDKs: OpenAI's protocol, a fair queue, keys, metrics, tool calls that parse.

    Exit codes: 0 ended in order, 2 usage, 3 no engine.
    """
    import asyncio
    import signal
    from contextlib import suppress

    from patchwright.config import load_settings
    from patchwright.errors import ConfigError

    settings = load_settings(model=model, engine=engine, base_url=base_url, api_key_env=api_key_env)
    if tensor_parallel_size:
        settings = _with_tensor_parallel(settings, tensor_parallel_size, cluster)
    given = {
        "upstreams": tuple(upstream) if upstream else None,
        "replicas": None if cluster else replicas,
        "host": host,
        "port": port,
        "queue": queue,
        "concurrency": concurrency,
        "max_tokens": max_tokens,
        "system_prompt": system_prompt,
        "allow_hosts": tuple(allow_host) if allow_host else None,
        "allow_origins": tuple(allow_origin) if allow_origin else None,
    }
    if cluster:
        if adapter:
            hint = "`patchwright model merge` makes a model of an adapter"
            raise ConfigError("--adapter is for the embedded engine, and --cluster runs vLLM", hint=hint)
        with _serve_extra():
            from patchwright.cli.cluster import ClusterOptions, serve_on_cluster
        options = ClusterOptions(
            address=cluster_address, replicas=replicas or "1", device=device, config=cluster_config, dry_run=dry_run
        )
        serve_on_cluster(settings, _with(settings.serve, given), options)
        return
    if dry_run or cluster_config:
        raise ConfigError("--dry-run and --cluster-config are for a config of Ray's", hint="they go with --cluster")
    # uvicorn ends in order, and then passes the signal on: by default SIGTERM would end this process on the spot
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(settings, _with(settings.serve, given), adapter or ()))


@contextmanager
def _serve_extra() -> Generator[None]:
    """Around imports. Raises ConfigError when what `patchwright[serve]` brings is not there."""
    from patchwright.errors import ConfigError

    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, and serving needs it", hint="`pip install 'patchwright[serve]'`"
        ) from None


async def _serve(settings: Settings, serve: ServeSettings, named: Sequence[str]) -> None:
    from patchwright.serving.queue import FairQueue

    with _serve_extra():
        import uvicorn
        from prometheus_client import CollectorRegistry

        from patchwright.cli.balance import check_balance
        from patchwright.cli.upstreams import opened, serves_embedded, with_adapters
        from patchwright.serving.app import gateway_app
        from patchwright.serving.gateway import Gateway, Limits
    check_balance(settings, serve)
    settings = with_adapters(settings, serve, named)
    guard = _guard(settings, serve)
    registry = CollectorRegistry()
    with _listening(serve.host, serve.port) as listener:
        slots = settings.llama_cpp.slots if serves_embedded(settings, serve) else serve.concurrency
        queue = FairQueue(slots * max(serve.replicas, len(serve.upstreams)), serve.queue)
        async with opened(settings, serve, registry, queue) as (upstream, adapters):
            limits = Limits(body_bytes=serve.body_bytes, answers=slots, tokens=serve.max_tokens)
            gateway = Gateway(upstream, queue, limits, _system_prompt(serve), registry)
            config = uvicorn.Config(
                gateway_app(gateway, guard, adapters),
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE_S,
            )
            typer.echo(f"serving {upstream.model} at {_url(listener)}", err=True)
            await uvicorn.Server(config).serve(sockets=[listener])


def _with(settings: ServeSettings, given: Mapping[str, object]) -> ServeSettings:
    from pydantic import ValidationError

    from patchwright.errors import ConfigError
    from patchwright.serving.settings import ServeSettings

    named = {name: value for name, value in given.items() if value is not None}
    try:
        return ServeSettings.model_validate(settings.model_dump() | named)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(f"--{str(problem['loc'][0]).replace('_', '-')}: {problem['msg'].lower()}") from None


def _with_tensor_parallel(settings: Settings, size: int, cluster: bool) -> Settings:
    from patchwright.errors import ConfigError

    if settings.engine != "vllm" and not cluster:
        raise ConfigError(f"--tensor-parallel-size is for vLLM, not for {settings.engine}", hint="add `--engine vllm`")
    vllm = settings.vllm.model_copy(update={"tensor_parallel": size})
    return settings.model_copy(update={"vllm": vllm})


def _guard(settings: Settings, serve: ServeSettings) -> Guard:
    """Raises ConfigError when the server would be open to others than this machine's users."""
    from patchwright.errors import ConfigError
    from patchwright.serving.guard import LOOPBACK, Guard
    from patchwright.serving.keys import KeyStore

    keys = KeyStore(settings.state_dir / "keys.json")
    local = serve.host in LOOPBACK
    if not local and not keys.keys():
        raise ConfigError(
            f"anybody who reaches {serve.host} could use the model: there is no key",
            hint="`patchwright keys create NAME` makes one",
        )
    # Who listens to a network may be reached by names that we do not know; there a key is what counts.
    known = {serve.host, *LOOPBACK} if local or serve.allow_hosts else set[str]()
    return Guard(keys, known | set(serve.allow_hosts), serve.allow_origins, required=not local)


def _system_prompt(serve: ServeSettings) -> str | None:
    from patchwright.errors import ConfigError

    if serve.system_prompt is None:
        return None
    try:
        return serve.system_prompt.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"--system-prompt: {serve.system_prompt}: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--system-prompt: {serve.system_prompt} is not in UTF-8") from None


def _listening(host: str, port: int) -> socket.socket:
    """Bound before a model is loaded, which takes longer than to find that a port is taken."""
    import socket

    from patchwright.errors import ConfigError

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot listen at {host}:{port}: {reason}", hint="take another --port or --host") from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
