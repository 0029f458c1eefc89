"""`patchwright serve --cluster`: one config for Ray Serve, made, shown and deployed."""

import asyncio
import os
from pathlib import Path

import typer
from pydantic import SecretStr

from patchwright.config import Settings
from patchwright.engines.llama_cpp_settings import CONTEXT_TOKENS
from patchwright.engines.recipe import Device
from patchwright.engines.served import window
from patchwright.engines.vllm import kv_cache_gib
from patchwright.engines.weights import read_weights
from patchwright.errors import ConfigError, ModelError
from patchwright.models.catalogue import CatalogueEntry
from patchwright.models.reference import LocalModel, resolve
from patchwright.schema.record import Record
from patchwright.serving.cluster_config import (
    APPLICATION,
    ClusterModel,
    ClusterPlan,
    Replicas,
    cluster_config,
    config_text,
)
from patchwright.serving.guard import LOOPBACK
from patchwright.serving.ray_dashboard import RayDashboard
from patchwright.serving.settings import ServeSettings

MAX_CONCURRENCY = 1024
"""Of the gateway."""
MISTRAL = "mistralai/"
"""Whose repositories on Hugging Face hold Mistral's format."""


class ClusterOptions(Record):
    """What the command line says about the cluster."""

    address: str
    replicas: str
    device: Device
    config: Path | None
    """A file to write the config to."""
    dry_run: bool


def serve_on_cluster(settings: Settings, serve: ServeSettings, options: ClusterOptions) -> None:
    """Prints the endpoint's URL once it answers, or with `dry_run` the config.

    Raises ConfigError, EngineError and ModelError.
    """
    plan = _plan(settings, serve, options)
    if options.config:
        _write(options.config, config_text(plan))
    if options.dry_run:
        typer.echo(config_text(plan), nl=False)
        return
    asyncio.run(_deploy(plan, settings, options))
    url = f"http://{f'[{plan.host}]' if ':' in plan.host else plan.host}:{plan.port}/v1"
    concurrency = min(plan.vllm.slots * plan.replicas.maximum, MAX_CONCURRENCY)
    typer.echo(url)
    typer.echo(
        "on the cluster's head machine, for keys and a fair queue: "
        f"`patchwright serve --upstream {url} --concurrency {concurrency} --port {plan.port + 1}`",
        err=True,
    )


async def _deploy(plan: ClusterPlan, settings: Settings, options: ClusterOptions) -> None:
    async with RayDashboard.at(options.address, _token()) as dashboard:
        typer.echo(f"deploying {plan.model.name} on Ray {await dashboard.version()} at {options.address}", err=True)
        if others := set(await dashboard.applications()) - {APPLICATION}:
            raise ConfigError(
                f"the cluster serves {', '.join(sorted(others))}, which this would end",
                hint="add what --dry-run prints to the config of those, and `serve deploy` that",
            )
        await dashboard.deploy(cluster_config(plan))
        await dashboard.running(APPLICATION, settings.vllm.start_timeout_s, lambda said: typer.echo(said, err=True))


def _token() -> SecretStr | None:
    """Looked for where Ray does: https://docs.ray.io/en/latest/ray-security/token-auth.html. Raises ConfigError."""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return SecretStr(token)
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return SecretStr(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        if named:
            raise ConfigError(f"RAY_AUTH_TOKEN_PATH: {path}: {(error.strerror or str(error)).lower()}") from None
        return None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} holds no token of Ray's", hint="`ray get-auth-token` writes one") from None


def _plan(settings: Settings, serve: ServeSettings, options: ClusterOptions) -> ClusterPlan:
    if serve.upstreams or settings.base_url:
        raise ConfigError(
            "--cluster deploys engines, and an endpoint is named",
            hint="deploy first; then start the gateway with --upstream and without --cluster",
        )
    if settings.engine != "vllm" and "engine" in settings.model_fields_set:
        raise ConfigError(f"--cluster runs vLLM, not {settings.engine}", hint="leave --engine out")
    if serve.host not in LOOPBACK:
        raise ConfigError(
            f"Ray Serve asks for no key: anybody who reaches {serve.host} could use the model",
            hint="--host 127.0.0.1, and start the gateway on the cluster's head machine with --upstream",
        )
    if serve.port == 0:
        raise ConfigError("--port 0: Ray Serve needs to be told one")
    return ClusterPlan(
        model=_model(settings),
        replicas=Replicas.parsed(options.replicas),
        vllm=settings.vllm,
        device=options.device,
        host=serve.host,
        port=serve.port,
    )


def _model(settings: Settings) -> ClusterModel:
    """Of a repository nothing is fetched: the cluster's machines do that."""
    reference = resolve(settings.model)
    if isinstance(reference, CatalogueEntry):
        return _repository(reference, settings)
    if reference.path.is_file():
        raise _no_directory(settings.model)
    return _directory(reference, settings)


def _directory(model: LocalModel, settings: Settings) -> ClusterModel:
    weights = read_weights(model.path)
    context_tokens = window(weights.context_tokens, settings.vllm.context_tokens)
    return ClusterModel(
        name=model.name,
        source=str(model.path),
        is_directory=True,
        format=weights.format,
        tekken=weights.tekken,
        context_tokens=context_tokens,
        kv_cache_gib=settings.vllm.kv_cache_gib or kv_cache_gib(weights, settings.vllm, context_tokens),
    )


def _repository(entry: CatalogueEntry, settings: Settings) -> ClusterModel:
    if entry.repository is None:
        raise _no_directory(settings.model)
    if not entry.repository.repo.startswith(MISTRAL):
        raise ModelError(
            f"whether {entry.repository.repo} is in Mistral's format or Hugging Face's, only its files can tell",
            hint="fetch it, and name a directory that every machine of the cluster has",
        )
    return ClusterModel(
        name=entry.repository.repo,
        source=entry.repository.repo,
        is_directory=False,
        format="mistral",
        tekken=True,
        context_tokens=settings.vllm.context_tokens or CONTEXT_TOKENS,
        kv_cache_gib=settings.vllm.kv_cache_gib,
    )


def _no_directory(model: str) -> ModelError:
    return ModelError(
        f"{model} is a GGUF file, and vLLM reads weights in Mistral's or Hugging Face's format",
        hint="`--model hf:mistralai/Devstral-Small-2507`, or a directory that every machine of the cluster has",
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--cluster-config: {path}: {(error.strerror or str(error)).lower()}") from None
