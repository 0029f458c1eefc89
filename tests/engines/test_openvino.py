from pathlib import Path

import pytest

from patchwright.engines.installation import Installation
from patchwright.engines.openvino import OpenVino, OpenVinoSettings, cache_gib_of
from patchwright.engines.recipe import recipe
from patchwright.errors import EngineError
from patchwright.models.gguf_file import read_gguf
from tests.engines.tiny_gguf import write_tiny_gguf


async def test_one_that_is_not_installed_says_how_to(tiny_gguf: Path, state_dir: Path) -> None:
    engine = OpenVino(tiny_gguf, OpenVinoSettings(), state_dir, Installation(state_dir, "openvino"), "tiny")
    with pytest.raises(EngineError, match="openvino is not installed") as caught:
        await engine.connect()
    assert caught.value.hint == "`patchwright engine install openvino`"


def test_the_cache_holds_one_full_window(tmp_path: Path) -> None:
    info = read_gguf(write_tiny_gguf(tmp_path / "tiny.gguf"))
    assert cache_gib_of(info, 16384) == 1
    devstral = info.model_copy(update={"layers": 40, "kv_heads": 8, "key_length": 128, "value_length": 128})
    assert cache_gib_of(devstral, 32768) == 3


def test_it_needs_no_pytorch_and_no_gpu() -> None:
    wanted = recipe("openvino", "cuda")
    assert (wanted.torch, wanted.device) == (None, "cpu")
