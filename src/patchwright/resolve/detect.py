"""The test command of a repository whose user names none."""

from collections.abc import Sequence
from pathlib import PurePosixPath

PYTEST = "python3 -m pytest -q"


def test_command_of(files: Sequence[str]) -> str | None:
    """pytest, where there are tests that it would find; None where there are none."""
    return PYTEST if any(_is_for_pytest(PurePosixPath(file)) for file in files) else None


def _is_for_pytest(path: PurePosixPath) -> bool:
    return path.suffix == ".py" and (path.stem.startswith("test_") or path.stem.endswith("_test"))
