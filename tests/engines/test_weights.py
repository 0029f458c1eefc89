import json
from pathlib import Path

import pytest

from patchwright.engines.weights import Weights, read_weights
from patchwright.errors import ModelError
from patchwright.models.checkpoint.inspect import inspected


@pytest.mark.parametrize("form", ["mistral", "hf"])
def test_both_formats_of_a_model_say_the_same(tiny_devstral: Path, form: str) -> None:
    weights = read_weights(tiny_devstral / form)
    (file,) = (tiny_devstral / form).glob("*.safetensors")
    assert weights.size_bytes == file.stat().st_size
    # Two layers, each with keys and values of two heads of sixteen numbers of two bytes.
    assert weights.model_dump(include={"context_tokens", "kv_bytes_per_token"}) == {
        "context_tokens": 131072,
        "kv_bytes_per_token": 2 * 2 * 2 * 16 * 2,
    }
    assert weights.format == form


def test_mistrals_format_comes_first_where_there_are_both(tiny_devstral: Path, tmp_path: Path) -> None:
    files = {file.name: file for form in ("hf", "mistral") for file in (tiny_devstral / form).iterdir()}
    for name, file in files.items():
        (tmp_path / name).symlink_to(file)
    assert read_weights(tmp_path) == read_weights(tiny_devstral / "mistral")


def test_older_models_of_hugging_faces_have_as_many_keys_as_heads(tmp_path: Path) -> None:
    config = '{"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 64, "max_position_embeddings": 512}'
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(bytes(7))
    kv_bytes = 2 * 3 * 4 * 16 * 2
    assert read_weights(tmp_path) == Weights(
        format="hf", context_tokens=512, kv_bytes_per_token=kv_bytes, size_bytes=7, tekken=False
    )


def test_a_directory_of_something_else_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no weights in Mistral's or Hugging Face's format"):
        read_weights(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json cannot be read: field required"):
        read_weights(tmp_path)


def test_pickles_are_no_weights(tiny_devstral: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to(tiny_devstral / "hf" / "config.json")
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        read_weights(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"any program")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is a pickle"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("named", "tokens"),
    [
        ({"max_seq_len": 32768, "max_position_embeddings": 65536}, 65536),
        ({"max_seq_len": 32768}, 32768),
        ({}, 131072),
    ],
)
def test_engines_and_inspect_read_one_window(
    tiny_devstral: Path, tmp_path: Path, named: dict[str, int], tokens: int
) -> None:
    params = json.loads((tiny_devstral / "mistral" / "params.json").read_bytes())
    del params["max_position_embeddings"]
    for file in (tiny_devstral / "mistral").iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "params.json").unlink()
    (tmp_path / "params.json").write_text(json.dumps(params | named))
    assert (read_weights(tmp_path).context_tokens, inspected(tmp_path).context_tokens) == (tokens, tokens)
