"""uv takes Pythons and packages from where the user has them."""

import subprocess
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError
from patchwright.evals.uv import index_exports, python_of


def test_packages_come_from_where_pip_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://ada:pa$$@packages.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one.example https://two.example")
    exports = index_exports.__wrapped__()
    shown = f"{exports}\necho $UV_DEFAULT_INDEX; echo $UV_INDEX"
    assert output_of(shown).splitlines() == [
        "https://ada:pa$$@packages.example/simple",
        "https://one.example https://two.example",
    ]
    assert output_of(f"UV_DEFAULT_INDEX=https://uv.example\n{shown}").splitlines()[0] == "https://uv.example"


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="no version of Python"):
        python_of("3.9; rm -rf")


@pytest.mark.parametrize(("variable", "place"), [("PYENV_ROOT", "."), ("HOME", ".pyenv")])
def test_pyenv_is_where_it_says_that_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, place: str
) -> None:
    newest = tmp_path / place / "versions" / "3.9.18" / "bin" / "python"
    for python in (newest, tmp_path / place / "versions" / "3.9.9" / "bin" / "python"):
        python.parent.mkdir(parents=True)
        python.touch()
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert python_of("3.9") == str(newest)
    assert python_of("3.9.9") == str(python)
    assert python_of("3.8") == "3.8"


def output_of(script: str) -> str:
    return subprocess.run(["bash", "-c", script], env={}, check=True, capture_output=True, text=True).stdout
