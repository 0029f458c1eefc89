from pathlib import Path

import psutil
import pytest

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import find_engine, find_log, running_engines, stop_engine
from patchwright.errors import EngineError
from tests.engines.asking import stream
from tests.engines.waiting import has_ended


async def test_a_stopped_engine_is_gone_and_its_log_remains(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    await tiny_engine.connect()
    engine = find_engine(state_dir, "tiny")
    process = psutil.Process(engine.pid)
    stop_engine(engine, state_dir)
    assert has_ended(process)
    assert running_engines(state_dir) == []
    assert find_log(state_dir, "tiny") == engine.log
    assert "model loaded" in engine.log.read_text()


async def test_an_engine_at_work_is_stopped_too(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    endpoint = await tiny_engine.connect()
    chunks = stream(endpoint, [{"role": "user", "content": "hello"}], tokens=8000)
    await anext(chunks)
    stop_engine(find_engine(state_dir, None), state_dir)
    await chunks.aclose()
    assert running_engines(state_dir) == []


async def test_what_is_told_of_an_engine_is_true(tiny_engine: LlamaCpp, tiny_gguf: Path, state_dir: Path) -> None:
    endpoint = await tiny_engine.connect()
    engine = find_engine(state_dir, None)
    assert (engine.model, engine.path, engine.url) == ("tiny", tiny_gguf, endpoint.base_url.removesuffix("/v1"))
    assert (engine.context_tokens, engine.slots, engine.kv_type, engine.threads) == (8192, 4, "f16", 1)
    assert engine.resident_bytes == pytest.approx(psutil.Process(engine.pid).memory_info().rss, rel=0.1)
    assert 0 <= engine.unused_s <= engine.running_s + 1 < 60


async def test_a_name_that_fits_several_engines_is_not_guessed(tiny_gguf: Path, state_dir: Path) -> None:
    for context_tokens in (512, 1024):
        settings = LlamaCppSettings(threads=1, context_tokens=context_tokens)
        await LlamaCpp(tiny_gguf, settings, state_dir).connect()
    with pytest.raises(EngineError, match="2 engines run: tiny-"):
        find_engine(state_dir, "tiny")


def test_where_none_runs_that_is_said(state_dir: Path) -> None:
    with pytest.raises(EngineError, match="no engine tiny runs"):
        find_engine(state_dir, "tiny")
    with pytest.raises(EngineError, match="no engine has left a log"):
        find_log(state_dir, None)
