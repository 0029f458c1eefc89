"""A repository, a store for its snapshots, and the snapshots."""

from pathlib import Path

import pytest

from patchwright.repo.snapshots import Snapshots
from tests.repo.trees import make_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "tree")


@pytest.fixture
def store_dir(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def snapshots(root: Path, store_dir: Path) -> Snapshots:
    return Snapshots(root, store_dir)
