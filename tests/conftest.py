"""What tests of several packages share: a repository with a bug, and the fetched models."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from patchwright.config import load_settings
from patchwright.models.reference import resolve
from patchwright.models.store import ModelStore

if TYPE_CHECKING:
    from patchwright.chat.mistral.tokens import MistralTokens

BUG = "def add(a, b):\n    return a - b\n"
FIXED = "def add(a, b):\n    return a + b\n"
TEST = "from adder import add\n\nassert add(2, 3) == 5, f'2 + 3 is not {add(2, 3)}'\nprint('1 passed')\n"
TEST_COMMAND = "python3 check_adder.py"

MODELS_DIR = load_settings().data_dir / "models"


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


def bugged(directory: Path) -> Path:
    """A git repository with a bug and a test that shows it, committed."""
    root = directory / "adder"
    root.mkdir()
    (root / "adder.py").write_text(BUG)
    (root / "check_adder.py").write_text(TEST)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=start")
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return bugged(tmp_path)


@pytest.fixture(scope="session")
def tiny_devstral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with mistral/, hf/ and tiny.gguf: Devstral's architecture and tokenizer, random weights in bf16."""
    directory = tmp_path_factory.mktemp("devstral") / "tiny"
    command = [sys.executable, "-m", "patchwright.cli.main", "model", "make-tiny", str(directory), "--dim", "128"]
    subprocess.run(command, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def tokens(tiny_devstral: Path) -> "MistralTokens":
    """Devstral's tokenizer."""
    from patchwright.chat.mistral.tokens import MistralTokens

    return MistralTokens(tiny_devstral / "mistral" / "tekken.json")


@pytest.fixture
def model_path() -> Callable[[str], Path]:
    """The file of a fetched model, by its catalogue name."""

    def path(name: str) -> Path:
        found = ModelStore(MODELS_DIR).find(resolve(name))
        if found is None:
            pytest.fail(f"{name} is not fetched: run script/test --all")
        return found

    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a `patchwright` command that keeps its state to the test, and shares fetched models."""
    own = {
        "PATCHWRIGHT_CONFIG": str(tmp_path / "no-config.toml"),
        "PATCHWRIGHT_STATE_DIR": str(tmp_path / "state"),
        "PATCHWRIGHT_DATA_DIR": str(MODELS_DIR.parent),
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | own
