"""Devstral's full size on this machine: python benchmarks/full_size.py DIRECTORY [--context 8192] [--prompt 256]

Writes a Q4_K_M file of Devstral's architecture, tokenizer and size with random weights (14 GB; it stays there, and is
taken again the next time), starts the embedded engine with it as `patchwright run` would, and prints what was planned,
what the process then takes, and how fast it reads and writes. What it says is nonsense; how long it takes is not.
"""

import argparse
import asyncio
import time
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from patchwright.chat.mistral.template import chat_template
from patchwright.config import load_settings
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import find_engine, stop_engine
from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.convert import convert
from patchwright.models.checkpoint.decoder import DEVSTRAL
from patchwright.models.checkpoint.quantise import quantised
from patchwright.models.checkpoint.tekken import devstral_tekken
from patchwright.models.checkpoint.tensors import Rows, Tensor
from patchwright.models.recipe import number_type
from patchwright.schema.endpoint import Endpoint

QUANTISATION = "q4_k_m"
PUBLISHED_BYTES = 14_333_915_904
"""Of Devstral-Small-2507-Q4_K_M.gguf."""
ROWS = 64
ANSWER_TOKENS = 16


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--prompt", type=int, default=256, help="tokens")
    arguments = parser.parse_args()
    path = arguments.directory / "devstral-random-Q4_K_M.gguf"
    if not path.exists():
        started = time.monotonic()
        convert(random_devstral(), path, "gguf", QUANTISATION, chat_template=chat_template())
        print(f"written in {time.monotonic() - started:.0f} s")
    size = path.stat().st_size
    print(f"{size:,} bytes, {size / PUBLISHED_BYTES - 1:+.2%} against the published file")
    asyncio.run(measure(path, arguments.context, arguments.prompt))


def random_devstral() -> Checkpoint:
    tensors = {name: _random(name, shape) for name, shape in DEVSTRAL.shapes().items()}
    return Checkpoint("gguf", Path("random weights"), DEVSTRAL, tensors, tekken=devstral_tekken())


def _random(name: str, shape: tuple[int, ...]) -> Tensor:
    if len(shape) == 1:
        return Tensor(name, shape, "F32", lambda start, stop: np.ones(stop - start, np.float32))
    kind = number_type(QUANTISATION, name, shape[1], DEVSTRAL.layers)

    def read(start: int, stop: int) -> Rows:
        return np.resize(_rows(kind, shape[1]), (stop - start, _rows(kind, shape[1]).shape[1]))

    return Tensor(name, shape, kind, read)


@cache
def _rows(kind: str, columns: int) -> Rows:
    """A few rows, which are repeated: the time that a multiplication takes does not depend on its numbers."""
    numbers = np.random.default_rng(0).standard_normal((ROWS, columns), np.float32)
    return quantised(numbers / np.sqrt(columns, dtype=np.float32), kind)


async def measure(path: Path, context_tokens: int, prompt_tokens: int) -> None:
    state_dir = load_settings().state_dir
    engine = LlamaCpp(path, LlamaCppSettings(context_tokens=context_tokens), state_dir)
    started = time.monotonic()
    endpoint = await engine.connect()
    print(f"ready after {time.monotonic() - started:.0f} s")
    running = find_engine(state_dir, None)
    try:
        timings = await complete(endpoint, prompt_tokens)
        running = find_engine(state_dir, running.id)
    finally:
        stop_engine(running, state_dir)
    gib = 1 << 30
    print(f"window {running.context_tokens}, KV cache in {running.kv_type}, {running.threads} threads")
    print(f"planned {running.planned_bytes / gib:.1f} GiB, resident {running.resident_bytes / gib:.1f} GiB")
    print(f"prefill {timings['prompt_per_second']:.1f} tokens/s, decode {timings['predicted_per_second']:.1f} tokens/s")


async def complete(endpoint: Endpoint, prompt_tokens: int) -> dict[str, Any]:
    assert endpoint.api_key
    prompt = np.random.default_rng(1).integers(1000, DEVSTRAL.vocabulary, prompt_tokens).tolist()
    headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}"}
    async with httpx.AsyncClient(headers=headers, timeout=3600, trust_env=False) as client:
        body = {"prompt": prompt, "n_predict": ANSWER_TOKENS, "ignore_eos": True}
        answer = await client.post(endpoint.base_url.removesuffix("/v1") + "/completion", json=body)
    return answer.json()["timings"]


if __name__ == "__main__":
    main()
