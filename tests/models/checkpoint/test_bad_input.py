"""What a damaged, foreign or hostile checkpoint says."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from patchwright.errors import ModelError
from patchwright.models.checkpoint.convert import convert, opened


@pytest.fixture
def copy(tiny_devstral: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_devstral, tmp_path / "copy")


def refusal(path: Path, target: Path) -> str:
    with pytest.raises(ModelError) as caught, opened(path) as checkpoint:
        convert(checkpoint, target, "mistral", "bf16", chat_template="")
    assert not target.exists()
    return str(caught.value).replace(str(path), "HERE")


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_truncated_file_is_not_read(copy: Path, tmp_path: Path) -> None:
    for name in ("mistral/consolidated.safetensors", "tiny.gguf"):
        path = copy / name
        path.write_bytes(path.read_bytes()[:-1000])
    assert "not a whole safetensors file" in refusal(copy / "mistral", tmp_path / "result")
    assert "cut short or damaged" in refusal(copy / "tiny.gguf", tmp_path / "result")


def test_weights_that_are_missing_are_named(copy: Path, tmp_path: Path) -> None:
    (copy / "hf" / "model.safetensors").unlink()
    assert refusal(copy / "hf", tmp_path / "result") == "HERE/model.safetensors is missing"


def test_a_pickle_is_never_loaded(copy: Path, tmp_path: Path) -> None:
    (copy / "hf" / "model.safetensors").unlink()
    (copy / "hf" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    assert "pytorch_model.bin is a pickle" in refusal(copy / "hf", tmp_path / "result")


def test_a_tensor_of_the_wrong_shape_is_named(copy: Path, tmp_path: Path) -> None:
    change(copy / "hf" / "config.json", intermediate_size=512)
    message = refusal(copy / "hf", tmp_path / "result")
    assert "layers.0.feed_forward.w1.weight has the shape 768 × 128, not 512 × 128 (and 5 more)" in message


def test_a_layer_that_is_missing_is_named(copy: Path, tmp_path: Path) -> None:
    change(copy / "mistral" / "params.json", n_layers=3)
    assert "the tensor layers.2.attention_norm.weight is missing (and 8 more)" in refusal(
        copy / "mistral", tmp_path / "result"
    )


def test_a_tokenizer_of_another_size_is_noticed(copy: Path, tmp_path: Path) -> None:
    path = copy / "hf" / "tekken.json"
    content = json.loads(path.read_text())
    content["config"]["default_vocab_size"] = 32768
    path.write_text(json.dumps(content))
    assert "the tokenizer has 32768 tokens, the model 131072" in refusal(copy / "hf", tmp_path / "result")
    path.unlink()
    assert "there is no tokenizer" in refusal(copy / "hf", tmp_path / "result")


def test_configurations_of_other_models_are_refused(copy: Path, tmp_path: Path) -> None:
    change(copy / "mistral" / "params.json", moe={"num_experts": 8})
    assert "mixtures of experts" in refusal(copy / "mistral", tmp_path / "result")
    change(copy / "hf" / "config.json", model_type="llama")
    assert "not a decoder of Mistral Small 3" in refusal(copy / "hf", tmp_path / "result")
    (copy / "hf" / "config.json").write_text('{"hidden_size": "wide"')
    assert "config.json" in refusal(copy / "hf", tmp_path / "result")


def test_an_index_does_not_lead_out_of_its_directory(copy: Path, tmp_path: Path) -> None:
    index = {"weight_map": {"lm_head.weight": "../mistral/consolidated.safetensors"}}
    (copy / "hf" / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "names a file that is not beside it" in refusal(copy / "hf", tmp_path / "result")


def test_an_empty_directory_is_no_checkpoint(tmp_path: Path) -> None:
    assert refusal(tmp_path, tmp_path / "result") == "HERE: no checkpoint lies there"
