"""The embedded engine with a real model, SmolLM2 135M."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import find_engine, running_engines
from patchwright.errors import EngineError
from tests.engines.asking import Message, ask, drain, stream
from tests.engines.waiting import has_ended

pytestmark = pytest.mark.model

ModelPath = Callable[[str], Path]
TASK: list[Message] = [
    {"role": "system", "content": "You are a careful programmer. " * 20},
    {"role": "user", "content": "Write a function that reverses a list, and say how it works."},
]
REWRITE: list[Message] = [
    {"role": "user", "content": "Repeat this text word for word:\n" + "The quick brown fox jumps over the dog.\n" * 12}
]


@pytest.fixture
def smollm2(model_path: ModelPath, state_dir: Path) -> LlamaCpp:
    return LlamaCpp(model_path("smollm2-135m"), LlamaCppSettings(context_tokens=4096), state_dir)


async def test_a_growing_conversation_is_served_from_the_prefix_cache(smollm2: LlamaCpp) -> None:
    endpoint = await smollm2.connect()
    first = await ask(endpoint, TASK, tokens=40)
    answer = first["choices"][0]["message"]["content"]
    longer = [*TASK, {"role": "assistant", "content": answer}, {"role": "user", "content": "Now for a string."}]
    chunks = await drain(stream(endpoint, longer, tokens=5))
    usage = chunks[-1]["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert cached >= first["usage"]["prompt_tokens"]
    assert cached / usage["prompt_tokens"] > 0.8
    assert chunks[-1]["timings"]["cache_n"] == cached


async def test_another_object_finds_the_warm_cache(smollm2: LlamaCpp, model_path: ModelPath, state_dir: Path) -> None:
    await ask(await smollm2.connect(), TASK, tokens=2)
    other = LlamaCpp(model_path("smollm2-135m"), LlamaCppSettings(context_tokens=4096), state_dir)
    usage = (await ask(await other.connect(), TASK, tokens=2))["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= usage["prompt_tokens"] - 1


async def test_a_conversation_that_lost_its_slot_is_brought_back(smollm2: LlamaCpp) -> None:
    endpoint = await smollm2.connect()
    await ask(endpoint, TASK, tokens=2)
    await ask(endpoint, REWRITE, tokens=2)
    usage = (await ask(endpoint, TASK, tokens=2))["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= usage["prompt_tokens"] - 1


async def test_speculation_drafts_tokens_and_changes_none(
    smollm2: LlamaCpp, model_path: ModelPath, state_dir: Path
) -> None:
    plain = LlamaCppSettings(context_tokens=4096, ngram_speculation=False)
    without = await ask(await LlamaCpp(model_path("smollm2-135m"), plain, state_dir).connect(), REWRITE, tokens=150)
    speculating = LlamaCppSettings(context_tokens=4096, ngram_speculation=True)
    with_it = await ask(
        await LlamaCpp(model_path("smollm2-135m"), speculating, state_dir).connect(), REWRITE, tokens=150
    )
    assert with_it["choices"][0]["message"] == without["choices"][0]["message"]
    assert with_it["timings"]["draft_n_accepted"] > 0


async def test_who_leaves_while_a_long_prompt_is_read_keeps_nobody_waiting(
    model_path: ModelPath, state_dir: Path
) -> None:
    """What counts is the share of the time that reading all of it takes; a piece of it has to be read to its end."""
    settings = LlamaCppSettings(context_tokens=8192, slots=1)
    endpoint = await LlamaCpp(model_path("smollm2-135m"), settings, state_dir).connect()
    whole, left = ([{"role": "user", "content": f"{word} " + "one two three " * 1000}] for word in ("Whole", "Left"))
    began_s = time.monotonic()
    await ask(endpoint, whole, tokens=1)
    reading_s = time.monotonic() - began_s
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(endpoint, left, tokens=1), reading_s / 8)
    left_s = time.monotonic()
    await ask(endpoint, [{"role": "user", "content": "Hi"}], tokens=1)
    assert time.monotonic() - left_s < reading_s / 4


async def test_killed_in_mid_answer_the_caller_knows_at_once_and_the_engine_comes_back(
    smollm2: LlamaCpp, state_dir: Path
) -> None:
    first = await smollm2.connect()
    process = psutil.Process(find_engine(state_dir, None).pid)
    chunks = stream(first, TASK, tokens=2000)
    await anext(chunks)
    process.kill()
    killed_s = time.monotonic()
    with pytest.raises(httpx.TransportError):
        await drain(chunks)
    assert time.monotonic() - killed_s < 2
    second = await smollm2.connect()
    assert has_ended(process)
    assert [f"{engine.url}/v1" for engine in running_engines(state_dir)] == [second.base_url]
    assert (await ask(second, TASK, tokens=3))["usage"]["completion_tokens"] == 3


async def test_a_model_cut_short_is_refused_within_five_seconds(model_path: ModelPath, state_dir: Path) -> None:
    whole = model_path("smollm2-135m").read_bytes()
    path = state_dir / "cut.gguf"
    path.write_bytes(whole[: len(whole) // 2])
    began_s = time.monotonic()
    with pytest.raises(EngineError, match="cut short"):
        await LlamaCpp(path, LlamaCppSettings(), state_dir).connect()
    assert time.monotonic() - began_s < 5
