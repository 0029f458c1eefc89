"""What goes wrong with files and disks is a line for the user, from every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.cli.main import main


@pytest.mark.parametrize("command", ["engine install openvino", "keys create mine", "keys list"])
def test_a_directory_of_ours_that_cannot_be_is_named(environment: dict[str, str], command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ours = tmp_path / "file" / "patchwright"
    places = {"PATCHWRIGHT_DATA_DIR": str(ours), "PATCHWRIGHT_STATE_DIR": str(ours)}
    line = [sys.executable, "-m", "patchwright.cli.main", *command.split()]
    result = subprocess.run(line, env=environment | places, capture_output=True, text=True, timeout=60, check=False)
    (problem,) = result.stderr.splitlines()
    assert problem.startswith(f"patchwright: {ours}")
    assert problem.endswith(": not a directory")
    assert result.returncode == 3


def test_a_full_disk_is_named(environment: dict[str, str]) -> None:
    line = [sys.executable, "-m", "patchwright.cli.main", "model", "list"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            line, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert result.stderr.splitlines()[:2] == [
        "patchwright: no space left on device",
        "hint: make room, and try again",
    ]
    assert result.returncode != 0


def test_what_is_no_problem_with_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def app(**_: object) -> None:
        os.fstat(-1)

    monkeypatch.setattr("patchwright.cli.keys.app", app)
    with pytest.raises(OSError, match="Bad file descriptor"):
        main(["keys", "list"])
