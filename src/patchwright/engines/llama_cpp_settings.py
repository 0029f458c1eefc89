"""What a user can say about llama.cpp, and what of it fits into the machine."""

from pydantic import Field

from patchwright.engines.adapters import NamedAdapter
from patchwright.errors import EngineError
from patchwright.models.gguf_file import GgufInfo
from patchwright.models.memory import KvType, largest_context, plan_memory
from patchwright.schema.record import Record

CONTEXT_TOKENS = 32768
"""Chosen when the settings name none: an agent's run fits into it, and a longer window costs memory."""

LEAST_CONTEXT_TOKENS = 4096
"""Below this an agent cannot hold its instructions and one file."""

MEMORY_SHARE = 0.9
"""Of the machine's memory; the rest is for the agent and for the tests that it runs."""

GB = 1e9


class LlamaCppSettings(Record):
    """What a user can say about the embedded engine. None: chosen from the machine and the memory plan."""

    context_tokens: int | None = Field(default=None, ge=256)
    """The window in tokens, prompt and answer together; requests at the same time share it."""

    kv_type: KvType | None = None
    """How the KV cache is stored: f16, or q8_0 in half the memory."""

    threads: int | None = Field(default=None, ge=1)
    """Threads that compute; by default one for each physical core."""

    slots: int = Field(default=4, ge=1, le=64)
    """Requests, or answers to one request, that are worked on at once. They share the window."""

    idle_s: float = Field(default=900, gt=0)
    """Seconds without a request after which the engine ends and gives its memory back."""

    cache_ram_mib: int = Field(default=1024, ge=0)
    """Memory in MiB for conversations that lost their slot to another; 0 turns this cache off, as adapters do."""

    adapters: tuple[NamedAdapter, ...] = ()
    """LoRA adapters to load, as PATH or NAME=PATH: .gguf files, or directories as PEFT saves them. None applies
    unless a request asks for it."""

    repack: bool = False
    """Copy the weights into an order that suits the CPU: answers are written faster, for the memory of the copy."""

    ngram_speculation: bool = True
    """Guess the next tokens from what the conversation already says: faster on rewrites, and changes no token."""

    start_timeout_s: float = Field(default=300, gt=0)
    """Seconds that loading the model may take."""


class Fit(Record):
    """A window and a KV type, and the memory that they take with the weights."""

    context_tokens: int
    kv_type: KvType
    planned_bytes: int


def fit(info: GgufInfo, settings: LlamaCppSettings, memory_bytes: int) -> Fit:
    """What fits into a machine with `memory_bytes`: rather a smaller KV cache than a shorter window.

    A window that the settings name is never shortened. Raises EngineError when it is longer than the model's, or
    when nothing fits.
    """
    wanted = settings.context_tokens or min(info.context_tokens, CONTEXT_TOKENS)
    if wanted > info.context_tokens:
        raise EngineError(
            f"{info.name} has a window of {info.context_tokens} tokens, not {wanted}",
            hint="name a shorter context, or none: then it is chosen",
        )
    budget_bytes = int(memory_bytes * MEMORY_SHARE)
    kv_types: tuple[KvType, ...] = (settings.kv_type,) if settings.kv_type else ("f16", "q8_0")
    for kv_type in kv_types:
        planned_bytes = _planned_bytes(info, wanted, kv_type, settings)
        if planned_bytes <= budget_bytes:
            return Fit(context_tokens=wanted, kv_type=kv_type, planned_bytes=planned_bytes)
    kv_type = kv_types[-1]
    longest = largest_context(info, budget_bytes, kv_type, settings.slots, repack=settings.repack)
    if settings.context_tokens or longest < min(LEAST_CONTEXT_TOKENS, wanted):
        needed_bytes = _planned_bytes(info, settings.context_tokens or LEAST_CONTEXT_TOKENS, kv_type, settings)
        raise EngineError(
            f"{info.name} needs {needed_bytes / GB:.1f} GB of memory; of this machine's {memory_bytes / GB:.1f} GB "
            f"an engine may take {budget_bytes / GB:.1f}",
            hint="take a smaller model or quantisation, or a shorter context; `patchwright model fit` shows what fits",
        )
    planned_bytes = _planned_bytes(info, longest, kv_type, settings)
    return Fit(context_tokens=longest, kv_type=kv_type, planned_bytes=planned_bytes)


def memory_share_bytes(info: GgufInfo, memory_bytes: int, engines: int) -> int:
    """The memory that one of several engines with the same file may count on: its pages are in memory once for all."""
    return memory_bytes - (memory_bytes - info.weights_bytes) * (engines - 1) // engines


def _planned_bytes(info: GgufInfo, context_tokens: int, kv_type: KvType, settings: LlamaCppSettings) -> int:
    return plan_memory(info, context_tokens, kv_type, settings.slots, repack=settings.repack).total_bytes
