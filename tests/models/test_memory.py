"""The memory plan: what is known of Devstral, and what the engine really takes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.memory_plan import measure

from patchwright.errors import ConfigError, ModelError
from patchwright.models.catalogue import CatalogueEntry, catalogue
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.memory import (
    KvType,
    kv_bytes_per_token,
    largest_context,
    machine_memory_bytes,
    parse_size,
    plan_memory,
)
from patchwright.models.recipe import expected_info
from patchwright.models.reference import resolve

GIB = 2**30


def devstral(quantisation: str = "q4_k_m") -> GgufInfo:
    entry = resolve(f"devstral-small-2507:{quantisation}")
    assert isinstance(entry, CatalogueEntry)
    return expected_info(entry)


def test_the_kv_cache_of_devstral_is_what_its_shape_says() -> None:
    assert kv_bytes_per_token(devstral(), "f16") == 160 * 1024
    assert plan_memory(devstral(), 32768, "f16").kv_bytes == 5 * GIB
    assert plan_memory(devstral(), 32768, "q8_0").kv_bytes == pytest.approx(2.66 * GIB, rel=0.002)


def test_devstral_is_as_large_as_the_published_file() -> None:
    published_bytes = 14_333_915_904
    assert devstral().weights_bytes == pytest.approx(published_bytes, rel=0.001)
    assert devstral("bf16").parameters == 23_572_403_200


@pytest.mark.parametrize("repack", [False, True])
def test_the_largest_context_is_the_last_that_fits(repack: bool) -> None:
    info = devstral()
    memory_bytes = 28_000_000_000
    longest = largest_context(info, memory_bytes, "f16", repack=repack)
    assert 0 < longest < info.context_tokens
    assert plan_memory(info, longest, "f16", repack=repack).total_bytes <= memory_bytes
    assert plan_memory(info, longest + 256, "f16", repack=repack).total_bytes > memory_bytes


def test_no_context_is_longer_than_the_model_s_own_and_none_is_what_fits_too_little_memory() -> None:
    assert largest_context(devstral(), 10**15) == 131072
    assert largest_context(devstral(), 8 * GIB) == 0


def test_slots_share_a_window() -> None:
    one, four = (plan_memory(devstral(), 8192, "f16", slots=slots) for slots in (1, 4))
    assert four.kv_bytes == one.kv_bytes
    assert four.weights_bytes == one.weights_bytes


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("32GB", 32 * 10**9), ("32 GiB", 32 * GIB), ("1.5g", 1_500_000_000), ("512", 512), ("64mib", 64 * 2**20)],
)
def test_a_size_is_read_in_either_unit(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "32 gigs", "1.2.3GB", "0", "9" * 320])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_control_group_limits_the_machine(file: str, tmp_path: Path) -> None:
    unlimited = machine_memory_bytes(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("123456789\n")
    assert machine_memory_bytes(tmp_path) == 123456789
    (tmp_path / file).write_text("max\n")
    assert machine_memory_bytes(tmp_path) == unlimited


def test_safetensors_are_no_gguf_to_plan_for() -> None:
    with pytest.raises(ModelError, match="is not a GGUF file"):
        devstral("safetensors")


SMALL = tuple(entry.name for entry in catalogue() if entry.sha256)


@pytest.mark.model
@pytest.mark.parametrize("name", SMALL)
def test_what_is_planned_from_the_catalogue_is_what_the_file_says(name: str, model_path: Callable[[str], Path]) -> None:
    entry = resolve(name)
    assert isinstance(entry, CatalogueEntry)
    expected, real = expected_info(entry), read_gguf(model_path(name))
    norms = {"name": real.name, "parameters": real.parameters, "tensor_bytes": real.tensor_bytes}
    assert expected.model_copy(update=norms) == real
    assert {**expected.tensor_bytes, "F32": real.tensor_bytes["F32"]} == real.tensor_bytes


@pytest.mark.model
@pytest.mark.parametrize("context_tokens", [2048, 8192])
@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
@pytest.mark.parametrize("name", SMALL)
def test_the_plan_is_within_5_percent_of_what_the_engine_takes(
    name: str, kv_type: KvType, context_tokens: int, model_path: Callable[[str], Path]
) -> None:
    measured = measure(model_path(name), context_tokens, kv_type, prompt_tokens=512)
    assert abs(measured.error) < 0.05, measured


@pytest.mark.model
def test_the_plan_counts_the_weights_that_are_copied(model_path: Callable[[str], Path]) -> None:
    measured = measure(model_path("qwen2.5-coder-1.5b"), 2048, "f16", prompt_tokens=512, repack=True)
    assert abs(measured.error) < 0.05, measured
