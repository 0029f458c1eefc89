"""Adapters that do not fit are told apart from those that do, before an engine is given them."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy
import pytest

from patchwright.errors import ModelError
from patchwright.models.adapter_files import check_gguf_adapter
from tests.engines.tiny_gguf import FEED_FORWARD, WIDTH, write_tiny_gguf

RANK = 2
Tensors = dict[str, tuple[int, int]]
FITTING: Tensors = {
    "blk.0.ffn_up.weight.lora_a": (RANK, WIDTH),
    "blk.0.ffn_up.weight.lora_b": (FEED_FORWARD, RANK),
}


def write(
    path: Path,
    tensors: Tensors,
    *,
    kind: str = "lora",
    architecture: str = "llama",
    dtype: type = numpy.float32,
    more: Callable[[gguf.GGUFWriter], None] = lambda _: None,
) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, kind)
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 4)
    more(writer)
    for name, shape in tensors.items():
        writer.add_tensor(name, numpy.ones(shape, dtype))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


def test_an_adapter_that_fits_is_taken(model: Path, tmp_path: Path) -> None:
    check_gguf_adapter(write(tmp_path / "adapter.gguf", FITTING), model)


def test_a_model_is_no_adapter(model: Path) -> None:
    with pytest.raises(ModelError, match="not a LoRA adapter"):
        check_gguf_adapter(model, model)


def activated(writer: gguf.GGUFWriter) -> None:
    writer.add_array("adapter.alora.invocation_tokens", [1, 2, 3])


@pytest.mark.parametrize(
    ("tensors", "options", "problem"),
    [
        pytest.param({}, {}, "it changes nothing", id="empty"),
        pytest.param(FITTING, {"kind": "control_vector"}, "not a LoRA adapter", id="kind"),
        pytest.param(FITTING, {"architecture": "qwen2"}, "another architecture than llama", id="architecture"),
        pytest.param(FITTING, {"more": activated}, "activated by tokens", id="activated"),
        pytest.param(FITTING, {"dtype": numpy.int32}, "does not fit", id="integers"),
        pytest.param(dict([*FITTING.items()][:1]), {}, "only half of it is there", id="half"),
        pytest.param({"blk.7.ffn_up.weight.lora_a": (2, 32)}, {}, "no matrix of this model", id="layer"),
        pytest.param(FITTING | {"blk.0.ffn_up.weight.lora_b": (FEED_FORWARD, 3)}, {}, "does not fit", id="rank"),
        pytest.param(FITTING | {"blk.0.ffn_up.weight.lora_b": (99, RANK)}, {}, "does not fit", id="outputs"),
        pytest.param(FITTING | {"blk.0.ffn_up.weight.lora_a": (RANK, 99)}, {}, "does not fit", id="inputs"),
    ],
)
def test_what_does_not_fit_is_refused(
    model: Path, tmp_path: Path, tensors: Tensors, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(ModelError, match=problem):
        check_gguf_adapter(write(tmp_path / "adapter.gguf", tensors, **options), model)  # type: ignore[arg-type]
