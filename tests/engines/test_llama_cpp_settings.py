from pathlib import Path

import pytest

from patchwright.engines.llama_cpp_settings import MEMORY_SHARE, Fit, LlamaCppSettings, fit
from patchwright.errors import EngineError
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.memory import KvType, plan_memory


@pytest.fixture
def info(tiny_gguf: Path) -> GgufInfo:
    """With the KV cache of a real model: 160 KiB for each token."""
    size = {"layers": 40, "kv_heads": 8, "key_length": 128, "value_length": 128, "context_tokens": 131072}
    return read_gguf(tiny_gguf).model_copy(update=size)


def test_with_room_enough_the_window_is_an_agents_and_the_cache_is_exact(info: GgufInfo) -> None:
    assert fit(info, LlamaCppSettings(), 10**12) == _fit(info, 32768, "f16")


def test_a_model_with_a_short_window_gets_all_of_it(info: GgufInfo) -> None:
    short = info.model_copy(update={"context_tokens": 8192})
    assert fit(short, LlamaCppSettings(), 10**12) == _fit(short, 8192, "f16")


def test_the_cache_is_halved_before_the_window_is_shortened(info: GgufInfo) -> None:
    assert fit(info, LlamaCppSettings(), _machine_for(info, 32768, "q8_0")) == _fit(info, 32768, "q8_0")


def test_the_window_is_shortened_to_what_fits(info: GgufInfo) -> None:
    assert fit(info, LlamaCppSettings(), _machine_for(info, 10240, "q8_0")) == _fit(info, 10240, "q8_0")


def test_a_window_that_was_asked_for_is_never_shortened(info: GgufInfo) -> None:
    with pytest.raises(EngineError, match=r"tiny needs \d+\.\d GB of memory"):
        fit(info, LlamaCppSettings(context_tokens=32768), _machine_for(info, 10000, "q8_0"))


def test_a_copy_of_the_weights_takes_room_from_the_window(info: GgufInfo) -> None:
    info = info.model_copy(update={"tensor_bytes": {"Q4_K": 10**9}})
    machine_bytes = _machine_for(info, 32768, "f16")
    assert fit(info, LlamaCppSettings(repack=True), machine_bytes).planned_bytes <= machine_bytes
    assert fit(info, LlamaCppSettings(repack=True), 10**12).planned_bytes > _fit(info, 32768, "f16").planned_bytes


def test_a_window_of_a_few_tokens_is_no_use(info: GgufInfo) -> None:
    with pytest.raises(EngineError, match="needs"):
        fit(info, LlamaCppSettings(), _machine_for(info, 1000, "q8_0"))


def test_a_window_longer_than_the_models_is_refused(info: GgufInfo) -> None:
    with pytest.raises(EngineError, match="tiny has a window of 131072 tokens, not 131073"):
        fit(info, LlamaCppSettings(context_tokens=131073), 10**12)


def _fit(info: GgufInfo, context_tokens: int, kv_type: KvType) -> Fit:
    planned_bytes = plan_memory(info, context_tokens, kv_type, LlamaCppSettings().slots).total_bytes
    return Fit(context_tokens=context_tokens, kv_type=kv_type, planned_bytes=planned_bytes)


def _machine_for(info: GgufInfo, context_tokens: int, kv_type: KvType) -> int:
    """Memory of the smallest machine into which this window fits."""
    return round(plan_memory(info, context_tokens, kv_type, LlamaCppSettings().slots).total_bytes / MEMORY_SHARE) + 2
