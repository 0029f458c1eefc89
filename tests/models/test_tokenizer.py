from pathlib import Path

import pytest

from patchwright.errors import ModelError
from patchwright.models.tokenizer import tekken_file
from tests.engines.tiny_gguf import write_tiny_gguf


def test_devstrals_tokenizer_is_written_once(tiny_devstral: Path, tmp_path: Path) -> None:
    path = tekken_file(tiny_devstral / "tiny.gguf", tmp_path / "tokenizers")
    assert path
    assert path.read_bytes() == (tiny_devstral / "hf" / "tekken.json").read_bytes()
    written = path.stat().st_mtime_ns
    assert tekken_file(tiny_devstral / "tiny.gguf", tmp_path / "tokenizers") == path
    assert path.stat().st_mtime_ns == written
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_other_models_have_none(tmp_path: Path) -> None:
    assert tekken_file(write_tiny_gguf(tmp_path / "tiny.gguf"), tmp_path) is None
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError):
        tekken_file(tmp_path / "broken.gguf", tmp_path)
