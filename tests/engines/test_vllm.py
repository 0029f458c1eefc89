from pathlib import Path

import pytest

from patchwright.engines.installation import Installation
from patchwright.engines.vllm import Vllm, VllmSettings, cpu_variables, flags, kv_cache_gib
from patchwright.engines.weights import Weights
from patchwright.errors import EngineError

DEVSTRAL = Weights(
    format="mistral", context_tokens=131072, kv_bytes_per_token=163840, size_bytes=47_000_000_000, tekken=True
)
CARD = (
    "--tokenizer_mode mistral --config_format mistral --load_format mistral "
    "--tool-call-parser mistral --enable-auto-tool-choice --tensor-parallel-size 2"
)


def test_devstral_gets_exactly_the_flags_of_its_card() -> None:
    given = " ".join(flags(DEVSTRAL, VllmSettings(tensor_parallel=2), 32768, "devstral"))
    assert given == (
        f"{CARD} --served-model-name devstral --max-model-len 32768 --max-num-seqs 16 --enable-prompt-tokens-details"
    )


def test_weights_in_hugging_faces_format_keep_mistrals_tokenizer_where_it_is() -> None:
    weights = DEVSTRAL.model_copy(update={"format": "hf"})
    with_tekken = flags(weights, VllmSettings(), 4096, "devstral")
    without = flags(weights.model_copy(update={"tekken": False}), VllmSettings(), 4096, "devstral")
    assert with_tekken[:3] == ("--tokenizer_mode", "mistral", "--tool-call-parser")
    assert without[:3] == ("--tool-call-parser", "mistral", "--enable-auto-tool-choice")


def test_the_cache_holds_one_full_window_shared_by_the_processes() -> None:
    assert kv_cache_gib(DEVSTRAL, VllmSettings(), 32768) == 5
    assert kv_cache_gib(DEVSTRAL, VllmSettings(tensor_parallel=2), 32768) == 3
    assert kv_cache_gib(DEVSTRAL, VllmSettings(), 256) == 1


def test_two_processes_on_a_cpu_are_given_a_share_of_the_cores_each() -> None:
    assert cpu_variables(2, 1, [0, 1]) == {"VLLM_CPU_KVCACHE_SPACE": "2"}
    assert cpu_variables(2, 2, [0, 1])["VLLM_CPU_OMP_THREADS_BIND"] == "0|1"
    assert cpu_variables(2, 2, [0, 1, 2, 3])["VLLM_CPU_OMP_THREADS_BIND"] == "0,1|2,3"
    assert cpu_variables(2, 2, [3])["VLLM_CPU_OMP_THREADS_BIND"] == "3|3"


async def test_an_engine_that_is_not_installed_says_how_to(tiny_devstral: Path, state_dir: Path) -> None:
    engine = Vllm(tiny_devstral / "mistral", VllmSettings(), state_dir, Installation(state_dir, "vllm"), "tiny")
    with pytest.raises(EngineError, match="vllm is not installed") as caught:
        await engine.connect()
    assert caught.value.hint == "`patchwright engine install vllm`"
