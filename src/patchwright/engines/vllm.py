"""vLLM, with the flags that Devstral's model card gives."""

import os
import secrets

from pydantic import Field, SecretStr

from patchwright.engines.launch import ServedLaunch
from patchwright.engines.recipe import Recipe
from patchwright.engines.served import GIB, ServedEngine, ServedSettings, window
from patchwright.engines.state import EngineFiles
from patchwright.engines.weights import Weights, WeightsFormat, read_weights

TOKENIZER_FLAGS = ("--tokenizer_mode", "mistral")
FORMAT_FLAGS = ("--config_format", "mistral", "--load_format", "mistral")
TOOL_FLAGS = ("--tool-call-parser", "mistral", "--enable-auto-tool-choice")
"""All from the model card of mistralai/Devstral-Small-2507, "vLLM (recommended)"."""

_PRIVATE = {
    # Its own processes talk to each other by TCP, on this machine's first address unless they are told otherwise.
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


class VllmSettings(ServedSettings):
    """What a user can say about vLLM."""

    context_tokens: int | None = Field(default=None, ge=256)
    """The window in tokens, prompt and answer together; by default 32768, or the model's own if that is shorter."""

    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs, or on a CPU processes, that share the model's matrices."""

    slots: int = Field(default=16, ge=1)
    """Requests, or answers to one request, that are worked on at once."""

    kv_cache_gib: int | None = Field(default=None, ge=1)
    """On a CPU, GiB for the KV cache of each process; by default what one full window takes. On a GPU vLLM fills it."""


class Vllm(ServedEngine[VllmSettings, Weights]):
    """A directory of weights served by vLLM."""

    name = "vllm"

    def read(self) -> Weights:
        return read_weights(self.path)

    def launch(self, files: EngineFiles, weights: Weights, installed: Recipe) -> ServedLaunch:
        context_tokens = window(weights.context_tokens, self.settings.context_tokens)
        command = flags(weights, self.settings, context_tokens, self.model_name)
        on_cpu = installed.device == "cpu"
        kv_gib = self.settings.kv_cache_gib or kv_cache_gib(weights, self.settings, context_tokens)
        return ServedLaunch(
            engine="vllm",
            id=files.id,
            directory=files.state.parent,
            model=self.model_name,
            path=self.path,
            context_tokens=context_tokens,
            kv_type="bf16",
            threads=len(_cores()),
            slots=self.settings.slots,
            rules="mistral" if _reads_tekken(weights.format, tekken=weights.tekken) else "any",
            planned_bytes=weights.size_bytes + kv_gib * GIB * self.settings.tensor_parallel,
            idle_s=self.settings.idle_s,
            start_timeout_s=self.settings.start_timeout_s,
            api_key=SecretStr(secrets.token_urlsafe(32)),
            command=(
                *(self.program(installed), "serve", str(self.path), *command),
                *(("--enforce-eager",) if on_cpu else ()),
            ),
            address="uds",
            variables=_PRIVATE | (cpu_variables(kv_gib, self.settings.tensor_parallel, _cores()) if on_cpu else {}),
        )


def flags(weights: Weights, settings: VllmSettings, context_tokens: int, model_name: str) -> tuple[str, ...]:
    """The model card's, and what is chosen here."""
    return (
        *card_flags(weights.format, tekken=weights.tekken),
        *("--tensor-parallel-size", str(settings.tensor_parallel)),
        *("--served-model-name", model_name),
        *("--max-model-len", str(context_tokens)),
        *("--max-num-seqs", str(settings.slots)),
        "--enable-prompt-tokens-details",  # or it does not say how much of a prompt its cache held
    )


def card_flags(form: WeightsFormat, *, tekken: bool) -> tuple[str, ...]:
    """The model card's, less those about a format that the weights are not in."""
    return (
        *(TOKENIZER_FLAGS if _reads_tekken(form, tekken=tekken) else ()),
        *(FORMAT_FLAGS if form == "mistral" else ()),
        *TOOL_FLAGS,
    )


def _reads_tekken(form: WeightsFormat, *, tekken: bool) -> bool:
    return form == "mistral" or tekken


def kv_cache_gib(weights: Weights, settings: VllmSettings, context_tokens: int) -> int:
    """GiB of each process for one full window: at least one, which is the least that can be said."""
    return max(1, -(-weights.kv_bytes_per_token * context_tokens // (GIB * settings.tensor_parallel)))


def cpu_variables(kv_gib: int, tensor_parallel: int, cores: list[int]) -> dict[str, str]:
    """vLLM's variables for the CPU: without the first it takes half of the machine's memory for its cache.

    Alone it finds its cores by itself; two processes are given a share each, or both would compute on all of them.
    """
    variables = {"VLLM_CPU_KVCACHE_SPACE": str(kv_gib)}
    if tensor_parallel == 1:
        return variables
    share = max(1, len(cores) // tensor_parallel)
    shares = [cores[rank * share : (rank + 1) * share] or cores[-1:] for rank in range(tensor_parallel)]
    return variables | {"VLLM_CPU_OMP_THREADS_BIND": "|".join(",".join(map(str, each)) for each in shares)}


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
