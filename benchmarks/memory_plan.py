"""Prints the memory plan beside what the engine takes, as a table for docs/models.md.

    python benchmarks/memory_plan.py MODEL.gguf …

For each model, KV type and context the engine is started, given a prompt that fills most of its window (or
PROMPT_TOKENS, where that is less), and its resident memory is read. Takes a minute or two for each line on two cores.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import httpx

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.models.gguf_file import read_gguf
from patchwright.models.memory import KvType, plan_memory

CONTEXTS = (4096, 16384)
KV_TYPES: tuple[KvType, ...] = ("f16", "q8_0")
PROMPT_TOKENS = 3000
ANSWER_TOKENS = 8
IDLE_S = 60
"""Soon, so that no engine outlives a measurement that is killed."""


class Measured(NamedTuple):
    planned_bytes: int
    resident_bytes: int

    @property
    def error(self) -> float:
        """Of the plan, as a share of the truth."""
        return self.planned_bytes / self.resident_bytes - 1


def measure(
    model: Path, context_tokens: int, kv_type: KvType, prompt_tokens: int = PROMPT_TOKENS, *, repack: bool = False
) -> Measured:
    """Runs the embedded engine with the default settings but for these, and stops it again."""
    settings = LlamaCppSettings(
        context_tokens=context_tokens, kv_type=kv_type, cache_ram_mib=0, repack=repack, idle_s=IDLE_S
    )
    with tempfile.TemporaryDirectory() as directory:
        resident_bytes = asyncio.run(_resident_bytes(model, settings, Path(directory), prompt_tokens))
    plan = plan_memory(read_gguf(model), context_tokens, kv_type, settings.slots, repack=repack)
    return Measured(plan.total_bytes, resident_bytes)


async def _resident_bytes(model: Path, settings: LlamaCppSettings, state_dir: Path, prompt_tokens: int) -> int:
    endpoint = await LlamaCpp(model, settings, state_dir).connect()
    (engine,) = running_engines(state_dir)
    try:
        assert endpoint.api_key
        headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}"}
        # Token numbers as the prompt: llama.cpp takes them as they are, so that their count is known.
        body = {"prompt": list(range(1000, 1000 + prompt_tokens)), "max_tokens": ANSWER_TOKENS}
        async with httpx.AsyncClient(headers=headers, timeout=None, trust_env=False) as client:
            response = await client.post(f"{endpoint.base_url}/completions", json=body)
        assert response.raise_for_status().json()["usage"]["prompt_tokens"] == prompt_tokens
        (engine,) = running_engines(state_dir)
        return engine.resident_bytes
    finally:
        stop_engine(engine, state_dir)


def main() -> None:
    print("| model | context | KV | planned MB | resident MB | error |")
    print("|---|---:|---|---:|---:|---:|")
    for model in map(Path, sys.argv[1:]):
        longest = read_gguf(model).context_tokens
        for context_tokens in (min(context, longest) for context in CONTEXTS):
            for kv_type in KV_TYPES:
                result = measure(model, context_tokens, kv_type)
                planned, resident = result.planned_bytes / 1e6, result.resident_bytes / 1e6
                row = (model.stem, context_tokens, kv_type, f"{planned:.0f}", f"{resident:.0f}", f"{result.error:+.1%}")
                print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
