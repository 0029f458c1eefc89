"""What a `.git` may make visible."""

import os
from pathlib import Path

import pytest

from patchwright.errors import SandboxError
from patchwright.sandbox.git_directories import git_paths
from tests.sandbox.conftest import git


def test_a_directory_that_is_no_repository_has_none(tmp_path: Path) -> None:
    assert git_paths(tmp_path) == ()


def test_borrowed_objects_are_read_where_they_are(work_tree: Path, tmp_path: Path) -> None:
    borrower = tmp_path / "borrower"
    git("clone", "--quiet", "--shared", str(work_tree), str(borrower))
    assert git_paths(borrower) == (borrower / ".git", work_tree / ".git" / "objects")


def test_a_git_file_shows_nothing_but_git_directories(tmp_path: Path) -> None:
    """The work tree may come from a stranger."""
    (tmp_path / "secrets").mkdir()
    for name in ("HEAD", "objects"):
        (tmp_path / "secrets" / name).touch()
    (tmp_path / ".git").write_text("gitdir: secrets\n")
    assert git_paths(tmp_path) == (tmp_path / ".git",)


def test_a_repository_cannot_borrow_what_are_no_objects(work_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "pack").mkdir(parents=True)
    (work_tree / ".git" / "objects" / "info" / "alternates").write_text(f"{tmp_path}/secrets\n{tmp_path}/gone\n")
    assert git_paths(work_tree) == (work_tree / ".git",)


def test_a_git_file_that_cannot_be_read_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".git")
    assert git_paths(tmp_path) == (tmp_path / ".git",)


def test_a_git_directory_behind_a_symlink_is_refused(work_tree: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").symlink_to(work_tree / ".git")
    with pytest.raises(SandboxError, match="symbolic link") as refused:
        git_paths(tmp_path)
    assert refused.value.hint == "replace it by a `gitdir:` file"
