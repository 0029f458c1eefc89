"""Conversion between the formats, on a checkpoint of Devstral's architecture."""

import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from patchwright.errors import ModelError
from patchwright.models.checkpoint.checkpoint import Format
from patchwright.models.checkpoint.convert import convert, opened
from patchwright.models.checkpoint.decoder import DEVSTRAL
from patchwright.models.checkpoint.hugging_face import write_hugging_face
from patchwright.models.checkpoint.tiny import random_checkpoint, tiny_decoder
from patchwright.models.gguf_file import read_gguf
from patchwright.models.system_prompt import agents_prompt
from tests.models.checkpoint.reference import NEW_TOKENS, by_llama_cpp


def converted(source: Path, target: Path, form: Format, number_type: str = "bf16") -> Path:
    with opened(source) as checkpoint:
        convert(checkpoint, target, form, number_type, chat_template="{{ messages }}")
    return target


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_devstrals_shape_has_devstrals_parameters() -> None:
    assert DEVSTRAL.parameters == 23_572_403_200


@pytest.mark.parametrize("form", ["mistral", "hf"])
@pytest.mark.parametrize("source", ["mistral", "hf", "tiny.gguf"])
def test_nothing_is_lost_between_the_formats(tiny_devstral: Path, tmp_path: Path, source: str, form: Format) -> None:
    result = converted(tiny_devstral / source, tmp_path / "result", form)
    assert contents(result) == contents(tiny_devstral / form)


def test_a_gguf_file_made_from_either_format_is_the_same(tiny_devstral: Path, tmp_path: Path) -> None:
    first = converted(tiny_devstral / "mistral", tmp_path / "a" / "tiny.gguf", "gguf")
    second = converted(tiny_devstral / "hf", tmp_path / "b" / "tiny.gguf", "gguf")
    assert first.read_bytes() == second.read_bytes()


def test_the_publishers_system_prompt_goes_along_into_a_gguf_file_and_out_of_it(
    tiny_devstral: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_devstral / "mistral", tmp_path / "published")
    (tmp_path / "published" / "SYSTEM_PROMPT.txt").write_text("You are Devstral.\n", newline="")
    file = converted(tmp_path / "published", tmp_path / "devstral.gguf", "gguf")
    assert agents_prompt(file) == "You are Devstral.\n"
    assert contents(converted(file, tmp_path / "back", "mistral")) == contents(tmp_path / "published")
    (tmp_path / "pulled").mkdir()
    shutil.copy(tiny_devstral / "tiny.gguf", tmp_path / "pulled")
    shutil.copy(tmp_path / "published" / "SYSTEM_PROMPT.txt", tmp_path / "pulled")
    beside = converted(tmp_path / "pulled" / "tiny.gguf", tmp_path / "from-beside", "mistral")
    assert contents(beside) == contents(tmp_path / "published")


def test_wider_numbers_and_back_are_the_same_numbers(tiny_devstral: Path, tmp_path: Path) -> None:
    wide = converted(tiny_devstral / "mistral", tmp_path / "wide", "hf", "f32")
    assert contents(converted(wide, tmp_path / "back", "mistral")) == contents(tiny_devstral / "mistral")


def test_large_weights_are_split_into_shards_that_are_read_together(tiny_devstral: Path, tmp_path: Path) -> None:
    sharded = tmp_path / "sharded"
    sharded.mkdir()
    with opened(tiny_devstral / "mistral") as checkpoint:
        write_hugging_face(checkpoint, sharded, "BF16", shard_bytes=1_000_000)
    assert len(list(sharded.glob("model-*.safetensors"))) > 2
    assert contents(converted(sharded, tmp_path / "back", "mistral")) == contents(tiny_devstral / "mistral")
    next(sharded.glob("model-*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"model-.*safetensors is missing"), opened(sharded):
        pass


def test_a_quantised_file_is_close_and_has_the_usual_mix(tiny_devstral: Path, tmp_path: Path) -> None:
    quantised = converted(tiny_devstral / "mistral", tmp_path / "tiny.gguf", "gguf", "q8_0")
    info = read_gguf(quantised)
    assert (info.quantisation, set(info.tensor_bytes)) == ("Q8_0", {"Q8_0", "F32"})
    with opened(tiny_devstral / "mistral") as before, opened(quantised) as after:
        for name, tensor in before.tensors.items():
            exact = np.concatenate([block.astype(np.float32) for block in tensor.blocks()])
            close = np.concatenate(list(after.tensors[name].to("F32").blocks()))
            assert np.abs(exact - close).max() <= np.abs(exact).max() / 127


@pytest.mark.parametrize(("number_type", "added"), [("f16", 70_000), ("bf16", np.float32(3.4e38))])
def test_numbers_too_large_for_a_type_are_refused_and_leave_nothing(
    tiny_devstral: Path, tmp_path: Path, number_type: str, added: float
) -> None:
    with opened(tiny_devstral / "mistral") as checkpoint:
        norm = checkpoint.tensors["norm.weight"]
        exact = norm.to("F32")
        large = replace(exact, read=lambda start, stop: exact.read(start, stop) + added)
        changed = replace(checkpoint, tensors={**checkpoint.tensors, "norm.weight": large})
        with pytest.raises(ModelError, match=rf"norm\.weight: a number is too large for {number_type}"):
            convert(changed, tmp_path / "result", "hf", number_type, chat_template="")
    assert list(tmp_path.iterdir()) == []


def test_a_type_that_the_format_does_not_have_is_refused(tiny_devstral: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="mistral has no q4_k_m here") as caught:
        converted(tiny_devstral / "hf", tmp_path / "result", "mistral", "q4_k_m")
    assert caught.value.hint == "there are f32, f16, bf16"


def test_what_is_there_already_is_left_alone(tiny_devstral: Path, tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    with pytest.raises(ModelError, match="is there already"):
        converted(tiny_devstral / "hf", tmp_path / "result", "mistral")
    assert list((tmp_path / "result").iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written(tiny_devstral: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "patchwright.cli.main", "model", "convert", str(tiny_devstral / "hf"), "result"]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000)),
    )
    assert result.returncode == 3
    assert "result cannot be written: file too large" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_conversion_holds_little_in_memory(tiny_devstral: Path, tmp_path: Path) -> None:
    """Less than the largest tensor, which has 67 MB in f32; pages of the source that are mapped are not counted."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from patchwright.models.checkpoint.convert import convert, opened\n"
        "def own_kb():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('RssAnon'))\n"
        "with opened(Path(sys.argv[1])) as checkpoint:\n"
        "    samples = [own_kb()]\n"
        "    convert(checkpoint, Path(sys.argv[2]), 'mistral', 'f32', chat_template=None,\n"
        "            on_bytes=lambda _: samples.append(own_kb()))\n"
        "    print(max(samples) - samples[0])\n"
    )
    wide = converted(tiny_devstral / "mistral", tmp_path / "wide", "hf", "f32")
    command = [sys.executable, "-c", program, str(wide), str(tmp_path / "result")]
    grown_kb = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown_kb < 131_072 * 128 * 4 // 1024


def test_k_quants_are_what_llama_cpp_reads(tmp_path: Path) -> None:
    decoder = tiny_decoder(width=256, layers=8).model_copy(update={"vocabulary": 131_072})
    convert(random_checkpoint(decoder, seed=0), tmp_path / "tiny.gguf", "gguf", "q4_k_m", chat_template=None)
    info = read_gguf(tmp_path / "tiny.gguf")
    assert set(info.tensor_bytes) == {"Q4_K", "Q6_K", "F32"}
    assert not info.has_chat_template
    prompt = [1, 3, 5000, 4]
    assert len(by_llama_cpp(tmp_path / "tiny.gguf", prompt).greedy) == NEW_TOKENS
