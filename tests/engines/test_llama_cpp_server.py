"""What llama.cpp is told, by the machine that it is on."""

from pathlib import Path

import pytest
import xllamacpp
from pydantic import SecretStr

from patchwright.engines.launch import LlamaCppLaunch
from patchwright.engines.llama_cpp_server import server_params
from patchwright.models.memory import GUESSED_TOKENS, batch_tokens

KINDS = xllamacpp.ggml_backend_dev_type


@pytest.fixture
def launch(tmp_path: Path) -> LlamaCppLaunch:
    return LlamaCppLaunch(
        id="one",
        directory=tmp_path,
        model="tiny",
        path=tmp_path / "tiny.gguf",
        context_tokens=4096,
        kv_type="f16",
        threads=1,
        slots=4,
        cache_ram_mib=0,
        ngram_speculation=True,
        repack=False,
        planned_bytes=0,
        idle_s=1,
        start_timeout_s=1,
        api_key=SecretStr("key"),
    )


def test_the_guesses_of_all_slots_fit_into_one_batch(launch: LlamaCppLaunch) -> None:
    params = server_params(launch)
    assert params.speculative.ngram_simple.size_m == GUESSED_TOKENS
    assert params.n_ubatch == params.n_batch == batch_tokens(4) == 4 * (1 + GUESSED_TOKENS)


def test_a_gpu_reads_prompts_in_llama_cpps_own_pieces(launch: LlamaCppLaunch, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [{"type": KINDS.GGML_BACKEND_DEVICE_TYPE_GPU}, {"type": KINDS.GGML_BACKEND_DEVICE_TYPE_CPU}]
    monkeypatch.setattr(xllamacpp, "get_device_info", lambda: devices)
    params, own = server_params(launch), xllamacpp.CommonParams()
    assert (params.n_batch, params.n_ubatch) == (own.n_batch, own.n_ubatch) == (2048, 512)
