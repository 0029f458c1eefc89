from pathlib import Path

import pytest

from patchwright.agent.profile import DEVSTRAL, SMALL
from patchwright.cli.assemble import connected, engine_of, profile_of
from patchwright.config import Settings
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.errors import ModelError
from patchwright.policy.mistral import MistralPolicy
from patchwright.policy.openai import OpenAIPolicy
from tests.engines.tiny_gguf import write_tiny_gguf


@pytest.mark.parametrize(("name", "kind"), [("devstral", MistralPolicy), ("other", OpenAIPolicy)])
async def test_devstral_is_spoken_to_in_its_own_tokens(
    tiny_devstral: Path, tmp_path: Path, name: str, kind: type[object]
) -> None:
    path = tiny_devstral / "tiny.gguf" if name == "devstral" else write_tiny_gguf(tmp_path / "tiny.gguf")
    engine = LlamaCppSettings(threads=1, context_tokens=4096)
    settings = Settings(model=str(path), data_dir=tmp_path / "data", state_dir=tmp_path / "state", llama_cpp=engine)
    assert profile_of(settings, None) == (DEVSTRAL if name == "devstral" else SMALL)
    try:
        async with connected(engine_of(settings), settings) as policy:
            assert isinstance(policy, kind)
        async with connected(engine_of(settings), settings, calling="json") as policy:
            assert isinstance(policy, OpenAIPolicy)
    finally:
        for running in running_engines(settings.state_dir):
            stop_engine(running, settings.state_dir)


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm"])
def test_the_system_prompt_beside_devstrals_weights_is_used(tiny_devstral: Path, tmp_path: Path, engine: str) -> None:
    (tmp_path / "SYSTEM_PROMPT.txt").write_text("You are Devstral.")
    (tmp_path / "devstral.gguf").symlink_to(tiny_devstral / "tiny.gguf")
    (tmp_path / "params.json").touch()
    model = tmp_path / "devstral.gguf" if engine == "llama.cpp" else tmp_path
    settings = Settings.model_validate({"model": str(model), "engine": engine, "data_dir": tmp_path / "data"})
    assert profile_of(settings, None).published_prompt == "You are Devstral."
    assert profile_of(settings, "small") == SMALL
    assert profile_of(settings.model_copy(update={"base_url": "http://localhost:1/v1"}), None) == DEVSTRAL


def test_devstral_is_not_run_where_its_text_would_be_split_otherwise(tiny_devstral: Path, tmp_path: Path) -> None:
    model = str(tiny_devstral / "tiny.gguf")
    settings = Settings.model_validate({"model": model, "engine": "openvino", "data_dir": tmp_path})
    with pytest.raises(ModelError, match="splits text otherwise than Tekken") as caught:
        engine_of(settings)
    assert caught.value.hint == "`--engine llama.cpp` reads the same file, token for token"


@pytest.mark.parametrize("engine", ["llama.cpp", "openvino"])
def test_a_directory_is_for_other_engines(engine: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"model": str(tmp_path), "engine": engine, "data_dir": tmp_path})
    with pytest.raises(ModelError, match=f"is a directory, and {engine} runs a .gguf file"):
        engine_of(settings)


def test_openvino_reads_no_calls_out_of_an_answer(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    settings = Settings.model_validate({"model": str(model), "engine": "openvino", "data_dir": tmp_path})
    assert profile_of(settings, None) == SMALL
