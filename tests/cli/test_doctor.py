"""The doctor says of each part whether it works, by trying it."""

import subprocess
import sys
from pathlib import Path


def doctor(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "patchwright.cli.main", "doctor"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_each_part_gets_a_line_and_a_missing_model_a_hint(environment: dict[str, str], tmp_path: Path) -> None:
    result = doctor(environment | {"PATCHWRIGHT_DATA_DIR": str(tmp_path / "empty")})
    parts = [line.split()[:2] for line in result.stdout.splitlines() if not line.startswith(" ")]
    working = ("python", "git", "sandbox", "search", "engine", "memory", "disk")
    assert parts == [*(["ok", part] for part in working), ["MISSING", "models"]]
    assert "hint: `patchwright model pull" in result.stdout
    assert result.returncode == 3


def test_a_library_that_cannot_be_loaded_is_found_out(environment: dict[str, str], tmp_path: Path) -> None:
    """As on a machine without libgomp, where the package is installed and importing it fails."""
    broken = tmp_path / "path" / "xllamacpp"
    broken.mkdir(parents=True)
    reason = "libgomp.so.1: cannot open shared object file"
    (broken / "__init__.py").write_text(f"raise ImportError({reason!r})\n")
    result = doctor(environment | {"PYTHONPATH": str(broken.parent)})
    assert f"MISSING engine   llama.cpp cannot be loaded: ImportError: {reason}" in result.stdout
    assert "apt install libgomp1" in result.stdout
