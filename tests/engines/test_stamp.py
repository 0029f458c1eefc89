import os
from pathlib import Path

import pytest

from patchwright.engines.stamp import stamps
from patchwright.errors import EngineError


def test_weights_that_were_replaced_are_others(tmp_path: Path) -> None:
    shard = tmp_path / "model-00001-of-00002.safetensors"
    shard.write_bytes(b"old")
    (tmp_path / "config.json").write_text("{}")
    before = stamps(tmp_path)
    assert stamps(tmp_path) == before
    shard.unlink()
    shard.write_bytes(b"new")
    os.utime(shard, ns=(1, 1))
    assert stamps(tmp_path) != before
    assert stamps(shard) == [entry for entry in stamps(tmp_path) if entry[0] == str(shard)]


def test_a_file_that_is_gone_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no such file"):
        stamps(tmp_path / "gone.gguf")
