import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.errors import ModelError
from patchwright.models.export import modelfile, place_for_lm_studio


def test_a_modelfile_names_file_window_temperature_template_and_system_prompt() -> None:
    text = modelfile(Path("/models/d.gguf"), 32768, 0.15, "{{ .Prompt }}", "Be brief.")
    assert text == (
        "FROM /models/d.gguf\n"
        "PARAMETER num_ctx 32768\n"
        "PARAMETER temperature 0.15\n"
        'TEMPLATE """{{ .Prompt }}"""\n'
        'SYSTEM """Be brief."""\n'
    )


def test_what_is_not_given_is_left_to_ollama() -> None:
    text = modelfile(Path("/models/d.gguf"), 4096, 0.2, None, None)
    assert text == "FROM /models/d.gguf\nPARAMETER num_ctx 4096\nPARAMETER temperature 0.2\n"


def test_a_text_that_cannot_be_quoted_is_refused() -> None:
    with pytest.raises(ModelError, match="three quotation marks"):
        modelfile(Path("d.gguf"), 4096, 0.2, None, 'say """')


@pytest.mark.parametrize("copy", [True, False])
def test_lm_studio_finds_a_model_below_its_publisher(tmp_path: Path, copy: bool) -> None:
    model = tmp_path / "d.gguf"
    model.write_bytes(b"GGUF")
    placed = place_for_lm_studio(model, tmp_path / "models", "mistralai/devstral", copy=copy)
    assert placed == tmp_path / "models" / "mistralai" / "devstral" / "d.gguf"
    assert placed.read_bytes() == b"GGUF"
    assert placed.is_symlink() is not copy


def test_a_name_without_a_publisher_is_ours_and_twice_is_once(tmp_path: Path) -> None:
    model = tmp_path / "d.gguf"
    model.write_bytes(b"GGUF")
    first = place_for_lm_studio(model, tmp_path / "models", "d", copy=False)
    assert first.parent == tmp_path / "models" / "patchwright" / "d"
    assert place_for_lm_studio(model, tmp_path / "models", "d", copy=False) == first


def test_another_file_of_the_same_name_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for directory in (tmp_path, tmp_path / "a"):
        (directory / "d.gguf").write_bytes(b"GGUF")
    place_for_lm_studio(tmp_path / "d.gguf", tmp_path / "models", "d", copy=True)
    with pytest.raises(ModelError, match="is there already"):
        place_for_lm_studio(tmp_path / "a" / "d.gguf", tmp_path / "models", "d", copy=True)


def test_a_copy_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    model = tmp_path / "d.gguf"
    model.write_bytes(bytes(1_000_000))
    models = tmp_path / "models"
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from patchwright.errors import ModelError\nfrom patchwright.models.export import place_for_lm_studio\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "try:\n    place_for_lm_studio(Path(sys.argv[1]), Path(sys.argv[2]), 'd', copy=True)\n"
        "except ModelError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", script, str(model), str(models)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written: file too large" in result.stdout
    assert [path for path in models.rglob("*") if path.is_file()] == []
    assert place_for_lm_studio(model, models, "d", copy=True).read_bytes() == bytes(1_000_000)
