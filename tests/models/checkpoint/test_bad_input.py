"""What a damaged, foreign or hostile checkpoint says."""

import json
import os
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from patchwright.errors import ModelError
from patchwright.models.checkpoint.adapter import open_adapter
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
    for name in ("moe", "yarn", "rope_scaling", "sliding_window", "use_biases", "tied_embeddings"):
        change(copy / "mistral" / "params.json", **{name: {"factor": 8}})
        assert f"a model with {name} is not" in refusal(copy / "mistral", tmp_path / "result")
        change(copy / "mistral" / "params.json", **{name: None})
    for name, value in (
        ("model_type", "llama"),
        ("hidden_act", "gelu"),
        ("rope_parameters", {"rope_theta": 1e9, "rope_type": "yarn"}),
        ("attention_bias", True),
    ):
        whole = (copy / "hf" / "config.json").read_text()
        change(copy / "hf" / "config.json", **{name: value})
        assert "is not a decoder of Mistral Small 3" in refusal(copy / "hf", tmp_path / "result")
        (copy / "hf" / "config.json").write_text(whole)
    (copy / "hf" / "config.json").write_text('{"hidden_size": "wide"')
    assert "config.json" in refusal(copy / "hf", tmp_path / "result")


def test_an_index_does_not_lead_out_of_its_directory(copy: Path, tmp_path: Path) -> None:
    index = {"weight_map": {"lm_head.weight": "../mistral/consolidated.safetensors"}}
    (copy / "hf" / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "names a file that is not beside it" in refusal(copy / "hf", tmp_path / "result")


def test_an_empty_directory_is_no_checkpoint(tmp_path: Path) -> None:
    assert refusal(tmp_path, tmp_path / "result") == "HERE: no checkpoint lies there"


@pytest.mark.parametrize(
    "numbers",
    [
        {"n_layers": 10**9},
        {"head_dim": -32, "n_heads": -4, "n_kv_heads": -1},
        {"head_dim": 1, "n_heads": 128, "n_kv_heads": 32},
        {"norm_eps": -1},
        {"rope_theta": 0},
        {"max_position_embeddings": 10**40},
    ],
)
def test_numbers_that_make_no_sense_are_refused(copy: Path, tmp_path: Path, numbers: dict[str, Any]) -> None:
    change(copy / "mistral" / "params.json", **numbers)
    refusal(copy / "mistral", tmp_path / "result")


def test_a_pipe_is_not_waited_for(copy: Path, tmp_path: Path) -> None:
    for name in ("tekken.json", "consolidated.safetensors"):
        (copy / "mistral" / name).unlink()
        os.mkfifo(copy / "mistral" / name)
        assert "is no file" in refusal(copy / "mistral", tmp_path / "result")


def test_a_tensor_with_more_bytes_than_it_says_is_not_written(copy: Path, tmp_path: Path) -> None:
    with opened(copy / "mistral") as checkpoint:
        norm = checkpoint.tensors["norm.weight"]
        longer = replace(norm, read=lambda start, stop: norm.read(0, 64))
        changed = replace(checkpoint, tensors={**checkpoint.tensors, "norm.weight": longer})
        with pytest.raises(ModelError, match=r"norm\.weight has 128 bytes where 256 are due"):
            convert(changed, tmp_path / "result", "mistral", "bf16", chat_template=None)
    assert not (tmp_path / "result").exists()


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"r": 0}, "r: "),
        ({"r": 8}, "another rank than it says"),
        ({"lora_alpha": float("inf")}, "lora_alpha"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights pissa is not known"),
        ({"alora_invocation_tokens": [1, 2, 3]}, "an activation by tokens is not known"),
        ({"layer_replication": [[0, 1]]}, "layer_replication is not known"),
    ],
)
def test_an_adapter_that_means_something_else_is_refused(
    tiny_devstral: Path, tmp_path: Path, config: dict[str, Any], problem: str
) -> None:
    usual = {"peft_type": "LORA", "r": 4, "lora_alpha": 8}
    (tmp_path / "adapter_config.json").write_text(json.dumps(usual | config))
    stem = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {f"{stem}.lora_A.weight": np.zeros((4, 128)), f"{stem}.lora_B.weight": np.zeros((128, 4))}
    save_file(
        {name: tensor.astype(np.float32) for name, tensor in tensors.items()}, tmp_path / "adapter_model.safetensors"
    )
    with opened(tiny_devstral / "hf") as checkpoint, ExitStack() as files, pytest.raises(ModelError, match=problem):
        open_adapter(tmp_path, checkpoint.decoder, files)
