"""The config of a cluster: the file that Ray's `serve deploy` reads, for Ray Serve's LLM application over vLLM."""

import re
from typing import TypeAlias

import yaml
from pydantic import Field

from patchwright.engines.recipe import Device
from patchwright.engines.vllm import VllmSettings, card_flags
from patchwright.engines.weights import WeightsFormat
from patchwright.errors import ConfigError
from patchwright.schema.record import Record

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool"
"""What YAML and JSON can say."""

APPLICATION = "patchwright"
"""The name of ours among a cluster's applications."""

HEADER = """\
# Made by `patchwright serve --cluster`. Ray's own `serve deploy FILE` deploys it too, and `serve shutdown` ends it.
# Its fields: https://docs.ray.io/en/latest/serve/llm/
"""

CHARACTERS_PER_TOKEN = 4


class Replicas(Record):
    """So many copies of the model: Ray Serve adds and removes some between the two numbers."""

    minimum: int = Field(ge=0)
    maximum: int = Field(ge=1)

    @classmethod
    def parsed(cls, text: str) -> "Replicas":
        """`MIN..MAX`, or one number. Raises ConfigError."""
        if (match := re.fullmatch(r"(\d{1,4})(?:\.\.(\d{1,4}))?", text)) is None:
            raise ConfigError(f"--replicas {text}: neither a number nor two", hint="such as 2, or 1..8")
        minimum, maximum = int(match[1]), int(match[2] or match[1])
        if not max(minimum, 1) <= maximum:
            raise ConfigError(f"--replicas {text}: at most {maximum} are fewer than {max(minimum, 1)}")
        return cls(minimum=minimum, maximum=maximum)


class ClusterModel(Record):
    """What the machines of the cluster load."""

    name: str
    """By which clients ask for it."""
    source: str
    """A repository on Hugging Face, or the path of a directory that every machine has."""
    is_directory: bool
    format: WeightsFormat
    tekken: bool
    """Whether Mistral's tokenizer is there."""
    context_tokens: int
    """The window of prompt and answer together."""
    kv_cache_gib: int | None
    """On CPUs, GiB for the KV cache of each process; None: vLLM's choice, half of the machine's memory."""


class ClusterPlan(Record):
    """Everything that the config says."""

    model: ClusterModel
    replicas: Replicas
    vllm: VllmSettings
    device: Device
    host: str
    """Where Ray Serve listens, on the head machine alone. It asks for no key."""
    port: int


def config_text(plan: ClusterPlan) -> str:
    """The config as YAML, with a line that says what it is."""
    return HEADER + yaml.safe_dump(cluster_config(plan), sort_keys=False, width=120)


def cluster_config(plan: ClusterPlan) -> "dict[str, Tree]":
    """As `ray.serve.schema.ServeDeploySchema` defines it, with `ray.serve.llm.LLMConfig` inside; of Ray 2.60."""
    application: Tree = {
        "name": APPLICATION,
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": {"llm_configs": [_llm(plan)]},
    }
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": plan.host, "port": plan.port},
        "applications": [application],
    }


def _llm(plan: ClusterPlan) -> Tree:
    return {
        "model_loading_config": {"model_id": plan.model.name, "model_source": plan.model.source},
        "engine_kwargs": _engine(plan),
        **(_CPU if plan.device == "cpu" else {}),
        "runtime_env": {"env_vars": _variables(plan)},
        "deployment_config": _deployment(plan),
    }


_CPU: "dict[str, Tree]" = {
    "accelerator_config": {"kind": "cpu"},
    # Its processes share one machine's memory, and are started by vLLM, not by Ray.
    "placement_group_config": {"bundle_per_worker": {"CPU": 1}, "strategy": "STRICT_PACK"},
}


def _engine(plan: ClusterPlan) -> "dict[str, Tree]":
    """vLLM's arguments: the model card's flags, and what is chosen here."""
    return {
        **_keywords(card_flags(plan.model.format, tekken=plan.model.tekken)),
        "tensor_parallel_size": plan.vllm.tensor_parallel,
        "max_model_len": plan.model.context_tokens,
        "max_num_seqs": plan.vllm.slots,
        "enable_prompt_tokens_details": True,
        **({"enforce_eager": True} if plan.device == "cpu" else {}),
    }


def _keywords(flags: tuple[str, ...]) -> "dict[str, Tree]":
    """`--config_format mistral --enable-auto-tool-choice` as vLLM names them in Python."""
    following = (*flags[1:], "--")
    return {
        flag.removeprefix("--").replace("-", "_"): value.startswith("--") or value
        for flag, value in zip(flags, following, strict=True)
        if flag.startswith("--")
    }


def _variables(plan: ClusterPlan) -> "dict[str, Tree]":
    variables: dict[str, Tree] = {"VLLM_NO_USAGE_STATS": "1"}
    if plan.model.is_directory:
        variables["HF_HUB_OFFLINE"] = "1"
    if plan.device == "cpu" and plan.model.kv_cache_gib:
        variables["VLLM_CPU_KVCACHE_SPACE"] = str(plan.model.kv_cache_gib)
    return variables


def _deployment(plan: ClusterPlan) -> Tree:
    """Ray's own defaults never add a replica, route by prefix alone however long a queue is, and forget no prefix."""
    window_chars = plan.model.context_tokens * CHARACTERS_PER_TOKEN
    return {
        "autoscaling_config": {
            "min_replicas": plan.replicas.minimum,
            "max_replicas": plan.replicas.maximum,
            "target_ongoing_requests": plan.vllm.slots,
        },
        "request_router_config": {
            "request_router_class": "ray.serve.llm.request_router.PrefixCacheAffinityRouter",
            "request_router_kwargs": {
                "imbalanced_threshold": max(1, plan.vllm.slots // 2),
                "do_eviction": True,
                "eviction_threshold_chars": window_chars * plan.vllm.slots,
                "eviction_target_chars": window_chars * plan.vllm.slots * 9 // 10,
            },
        },
    }
