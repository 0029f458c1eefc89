"""Reading what a GGUF file is, and refusing what is not one."""

import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gguf
import pytest

from patchwright.errors import ModelError
from patchwright.models.ggml import FILE_TYPES, TENSOR_TYPES
from patchwright.models.gguf_file import GgufInfo, read_gguf
from tests.engines.tiny_gguf import write_tiny_gguf

VOCABULARY, WIDTH, FEED_FORWARD = 259, 32, 64
VALUES = 2 * VOCABULARY * WIDTH + 4 * WIDTH * WIDTH + 3 * FEED_FORWARD * WIDTH + 3 * WIDTH


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_the_header_says_what_the_model_is(tiny: Path) -> None:
    assert read_gguf(tiny) == GgufInfo(
        name="tiny",
        architecture="llama",
        parameters=VALUES,
        layers=1,
        embedding_length=WIDTH,
        feed_forward_length=FEED_FORWARD,
        heads=2,
        kv_heads=2,
        key_length=WIDTH // 2,
        value_length=WIDTH // 2,
        context_tokens=16384,
        vocabulary=VOCABULARY,
        quantisation="F32",
        tensor_bytes={"F32": 4 * VALUES},
        embedding_type="F32",
        embedding_bytes=4 * VOCABULARY * WIDTH,
        tied_embeddings=False,
        has_chat_template=True,
    )


def test_a_file_cut_anywhere_is_refused(tiny: Path, tmp_path: Path) -> None:
    content = tiny.read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in [*range(4, 600), *range(600, len(content), 997), len(content) - 40]:
        cut.write_bytes(content[:length])
        with pytest.raises(ModelError, match=r"cut\.gguf: the file is cut short or damaged"):
            read_gguf(cut)


def test_a_damaged_header_never_raises_anything_else(tiny: Path, tmp_path: Path) -> None:
    content = tiny.read_bytes()
    damaged = tmp_path / "damaged.gguf"
    for position in range(8, 3000, 7):
        damaged.write_bytes(content[:position] + b"\xff" * 8 + content[position + 8 :])
        with suppress(ModelError):
            read_gguf(damaged)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a GGUF file"),
        (b"PK\x03\x04 a zip", "not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(64), r"GGUF version 1 is not supported, only 2 and 3"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(64), r"GGUF version 50331648 is not supported"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "not a language model.*general.architecture is missing"),
    ],
)
def test_what_is_not_a_model_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_gguf(path)


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_embedding_length(32)
    writer.add_head_count(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match=r"token_embd\.weight is missing"):
        read_gguf(path)


def test_a_directory_or_nothing_is_an_error_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a directory"):
        read_gguf(tmp_path)
    with pytest.raises(ModelError, match="no such file"):
        read_gguf(tmp_path / "none.gguf")


def test_number_types_are_those_of_the_reference_package() -> None:
    reference = {kind.value: (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
    assert {number: tuple(kind) for number, kind in TENSOR_TYPES.items()} == reference
    names = {kind.value: kind.name for kind in gguf.LlamaFileType if kind.name != "GUESSED"}
    assert {number: name.removeprefix("MOSTLY_").removeprefix("ALL_") for number, name in names.items()} == FILE_TYPES


@pytest.mark.model
def test_a_real_model_with_152k_tokens_is_read_at_once_and_in_little_memory(
    model_path: Callable[[str], Path],
) -> None:
    path = model_path("qwen2.5-coder-1.5b")
    began_s = time.perf_counter()
    info = read_gguf(path)
    assert time.perf_counter() - began_s < 2
    assert (info.parameters, info.vocabulary, info.quantisation) == (1_777_088_000, 151_936, "Q4_K_M")
    script = (
        "import resource, sys; from pathlib import Path; from patchwright.models.gguf_file import read_gguf\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); read_gguf(Path(sys.argv[1])); print(peak() - before)"
    )
    result = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 20_000  # kB
