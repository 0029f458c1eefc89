from pathlib import Path

import pytest

from patchwright.errors import RepositoryError
from patchwright.repo.work_tree import WorkTree, find_work_tree
from tests.repo.trees import git


async def test_work_tree_is_found_from_a_directory_inside_it(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD").decode().strip()

    found = await find_work_tree(root / "pkg")

    assert found == WorkTree(root=root, head=head, exclude_file=root / ".git" / "info" / "exclude")


async def test_a_name_that_ends_in_a_newline_is_kept_whole(tmp_path: Path) -> None:
    odd = tmp_path / "odd\n"
    odd.mkdir()
    git(odd, "init", "--quiet")

    assert (await find_work_tree(odd)).root == odd


async def test_repository_without_a_commit_has_no_head(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    assert (await find_work_tree(tmp_path)).head is None


async def test_directory_without_a_repository_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not a git repository") as caught:
        await find_work_tree(tmp_path)

    assert caught.value.hint == "run `git init` there first"


@pytest.mark.parametrize("inside", [".", "refs"])
async def test_bare_repository_is_refused(tmp_path: Path, inside: str) -> None:
    git(tmp_path, "init", "--quiet", "--bare")

    with pytest.raises(RepositoryError, match="not in a work tree"):
        await find_work_tree(tmp_path / inside)


async def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="nowhere: no such directory"):
        await find_work_tree(tmp_path / "nowhere")


async def test_missing_git_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RepositoryError, match="git is not installed"):
        await find_work_tree(tmp_path)
