"""uv takes Pythons and packages from where the user has them."""

import subprocess

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


def output_of(script: str) -> str:
    return subprocess.run(["bash", "-c", script], env={}, check=True, capture_output=True, text=True).stdout
