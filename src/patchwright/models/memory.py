"""How much resident memory a model takes in the embedded engine, term by term, before it is started.

The terms are llama.cpp's own buffers, as its log names them: the mapped file, CPU_REPACK, KV, compute and output. What
is in no buffer (the process, the vocabulary) was measured: benchmarks/memory_plan.py prints the plan beside the truth.
"""

import re
from bisect import bisect_right
from pathlib import Path
from typing import Literal

import psutil

from patchwright.errors import ConfigError
from patchwright.models.ggml import stored_bytes
from patchwright.models.gguf_file import GgufInfo
from patchwright.schema.record import Record

KvType = Literal["f16", "q8_0"]
"""How the keys and values of past tokens are stored."""

BATCH_TOKENS = 64
"""Prompts are read in pieces of so many tokens at least. Larger ones keep everybody waiting: between two pieces answers
go on, and who has left is noticed (benchmarks/engine_settings.py)."""

GUESSED_TOKENS = 15
"""So many at most n-gram speculation guesses for a slot, llama.cpp's size_m for NGRAM_SIMPLE: with four slots, what one
batch holds besides the tokens that follow."""

CONTEXT_STEP = 256
"""llama.cpp rounds a context up to a multiple of this many tokens."""

REPACKED_TYPES = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
"""What `ggml_repack_get_optimal_repack_type` rearranges on a CPU with AVX2; the file's own copy stays mapped."""

PROCESS_BYTES = 57_000_000
"""The engine process without a model: the interpreter, its libraries, llama.cpp's code. Measured."""

VOCABULARY_BYTES = 423
"""For each token, with its merges: measured between a vocabulary of 49k and one of 152k tokens."""


class MemoryPlan(Record):
    """Resident memory of the engine with its window full, without the cache for conversations that lost their slot."""

    weights_bytes: int
    """The mapped file, and the rearranged copy if there is one."""
    kv_bytes: int
    compute_bytes: int
    """Scratch memory for one batch of the prompt."""
    overhead_bytes: int
    """The process itself and the vocabulary."""

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.overhead_bytes


def plan_memory(
    info: GgufInfo, context_tokens: int, kv_type: KvType = "f16", slots: int = 1, *, repack: bool = False
) -> MemoryPlan:
    """The plan for a window of `context_tokens` that `slots` share. Within 5 % of what the engine then takes.

    `repack`: whether the engine copies the weights into an order that suits the CPU.
    """
    context_tokens = _round_up(context_tokens)
    return MemoryPlan(
        weights_bytes=info.weights_bytes + (_repacked_bytes(info) if repack else 0),
        kv_bytes=context_tokens * kv_bytes_per_token(info, kv_type),
        compute_bytes=_compute_bytes(info, context_tokens, slots),
        overhead_bytes=PROCESS_BYTES + VOCABULARY_BYTES * info.vocabulary,
    )


def batch_tokens(slots: int) -> int:
    """llama.cpp's n_batch and n_ubatch, with which its scratch memory grows: the guesses of all slots fit into one."""
    return max(BATCH_TOKENS, slots * (1 + GUESSED_TOKENS))


def largest_context(
    info: GgufInfo, memory_bytes: int, kv_type: KvType = "f16", slots: int = 1, *, repack: bool = False
) -> int:
    """Tokens of the longest window, up to the model's own, whose plan fits into `memory_bytes`; 0 when none does."""
    steps = range(1, info.context_tokens // CONTEXT_STEP + 1)

    def total_bytes(step: int) -> int:
        return plan_memory(info, step * CONTEXT_STEP, kv_type, slots, repack=repack).total_bytes

    return bisect_right(steps, memory_bytes, key=total_bytes) * CONTEXT_STEP


def kv_bytes_per_token(info: GgufInfo, kv_type: KvType) -> int:
    """Keys and values of one token in all layers."""
    stored = stored_bytes(kv_type.upper(), info.kv_heads * info.key_length)
    return info.layers * (stored + stored_bytes(kv_type.upper(), info.kv_heads * info.value_length))


def machine_memory_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The machine's memory, or what its control group leaves of it (`memory.max` of version 2, or version 1)."""
    limits = (_limit(cgroup / "memory.max"), _limit(cgroup / "memory" / "memory.limit_in_bytes"))
    return min([psutil.virtual_memory().total, *(limit for limit in limits if limit is not None)])


def parse_size(text: str) -> int:
    """Bytes of "32GB" (powers of 1000), "32GiB" (powers of 1024) or "1500000". Raises ConfigError."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*(?:([KMGT])(I)?)?B?\s*", text.upper())
    number, unit, binary = match.groups() if match else ("0", None, None)
    size_bytes = int(float(number) * (1024 if binary else 1000) ** " KMGT".index(unit or " "))
    if size_bytes < 1:
        raise ConfigError(f"{text!r} is not a size", hint="write it like 32GB or 32GiB")
    return size_bytes


def _repacked_bytes(info: GgufInfo) -> int:
    repacked = sum(size for kind, size in info.tensor_bytes.items() if kind in REPACKED_TYPES)
    # Rows of the embeddings are looked up, not multiplied, unless they make the output layer as well.
    looked_up = info.embedding_type in REPACKED_TYPES and not info.tied_embeddings
    return repacked - info.embedding_bytes if looked_up else repacked


def _compute_bytes(info: GgufInfo, context_tokens: int, slots: int) -> int:
    batch = min(batch_tokens(slots), context_tokens)
    # What a layer holds at its widest, in 32-bit floats: found by regression over three models, exact to 0.1 %.
    activations = 4 * batch * (5 * info.embedding_length + 3 * info.feed_forward_length)
    mask = 2 * batch * context_tokens
    logits = 4 * slots * info.vocabulary
    return activations + mask + logits


def _round_up(tokens: int) -> int:
    return -(-tokens // CONTEXT_STEP) * CONTEXT_STEP


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
