from pathlib import Path

import pytest

from patchwright.errors import ModelError
from patchwright.models.tokenizer import devstrals_tekken_file, has_devstrals_tokens
from tests.engines.tiny_gguf import write_tiny_gguf


def test_devstral_is_known_by_its_tokens(tiny_devstral: Path, tmp_path: Path) -> None:
    assert has_devstrals_tokens(tiny_devstral / "tiny.gguf")
    assert not has_devstrals_tokens(write_tiny_gguf(tmp_path / "tiny.gguf"))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError):
        has_devstrals_tokens(tmp_path / "broken.gguf")


def test_its_tokenizer_is_written_once_and_again_when_damaged(tiny_devstral: Path, tmp_path: Path) -> None:
    path = devstrals_tekken_file(tmp_path / "tokenizers")
    whole = (tiny_devstral / "hf" / "tekken.json").read_bytes()
    assert path.read_bytes() == whole
    written = path.stat().st_mtime_ns
    assert devstrals_tekken_file(tmp_path / "tokenizers").stat().st_mtime_ns == written
    path.write_bytes(whole[:-1])
    assert devstrals_tekken_file(tmp_path / "tokenizers").read_bytes() == whole
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        devstrals_tekken_file(tmp_path / "file" / "tokenizers")
