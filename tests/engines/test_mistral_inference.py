"""What is refused before mistral-inference is started."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.engines.installation import Installation
from patchwright.engines.mistral_inference import MistralInference
from patchwright.engines.recipe import recipe
from patchwright.errors import EngineError


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    """As far as a receipt says."""
    installation = Installation(tmp_path / "engines", "mistral-inference")
    installation.directory.mkdir(parents=True)
    receipt = recipe("mistral-inference", "cpu").model_dump_json()
    (installation.directory / "installed.json").write_text(receipt)
    return installation


def test_one_that_is_not_installed_says_how_to(tiny_devstral: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="mistral-inference is not installed") as caught:
        MistralInference(tiny_devstral / "mistral", Installation(tmp_path, "mistral-inference"))
    assert caught.value.hint == "`patchwright engine install mistral-inference`"


def test_another_format_is_refused_with_a_way_out(tiny_devstral: Path, installed: Installation) -> None:
    with pytest.raises(EngineError, match="not in Mistral's format") as caught:
        MistralInference(tiny_devstral / "hf", installed)
    assert caught.value.hint == "`patchwright model convert --to mistral` writes it"


def test_a_pickle_beside_the_weights_is_never_loaded(tmp_path: Path, installed: Installation) -> None:
    params = {"n_layers": 1, "n_kv_heads": 1, "head_dim": 8, "max_position_embeddings": 128}
    (tmp_path / "params.json").write_text(json.dumps(params))
    (tmp_path / "consolidated.safetensors").touch()
    (tmp_path / "consolidated.00.pth").touch()
    with pytest.raises(EngineError, match="is a pickle, which may run anything: it is not loaded"):
        MistralInference(tmp_path, installed)


def test_weights_that_memory_does_not_hold_are_not_begun(tmp_path: Path, installed: Installation) -> None:
    params = {"n_layers": 1, "n_kv_heads": 1, "head_dim": 8, "max_position_embeddings": 128}
    (tmp_path / "params.json").write_text(json.dumps(params))
    with (tmp_path / "consolidated.safetensors").open("wb") as file:
        file.truncate(10**13)  # sparse
    with pytest.raises(EngineError, match=r"holds 10000.0 GB, and .* GB of memory are free"):
        MistralInference(tmp_path, installed)


async def test_what_the_program_fails_with_is_said(
    tmp_path: Path, installed: Installation, tiny_devstral: Path
) -> None:
    """An environment without its packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(installed.directory)], check=True)
    engine = MistralInference(tiny_devstral / "mistral", installed)
    with pytest.raises(EngineError, match="ModuleNotFoundError: No module named 'torch'"):
        await engine.generate([1], end=2, max_tokens=1)
