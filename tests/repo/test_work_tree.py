from pathlib import Path

import pytest

from patchwright.errors import RepositoryError
from patchwright.repo.work_tree import WorkTree, begin_repository, files_of, find_work_tree
from patchwright.sandbox.disposable import temporary_copy
from tests.repo.trees import git, make_repository


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


@pytest.fixture(params=["linked work tree", "submodule"])
def dependent(root: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A work tree whose git directory is another repository's, with a file that is tracked though it is ignored."""
    if request.param == "submodule":
        outer = make_repository(tmp_path / "outer")
        git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "inner")
        tree = outer / "inner"
    else:
        tree = tmp_path / "linked"
        git(root, "worktree", "add", "--quiet", str(tree))
    (tree / "tracked.log").write_text("tracked\n")
    git(tree, "add", "--force", "tracked.log")
    return tree


async def test_the_copy_of_a_tree_that_depends_on_another_gets_a_repository_of_its_own(dependent: Path) -> None:
    head, files = git(dependent, "rev-parse", "HEAD"), await files_of(dependent)
    found = await find_work_tree(dependent)
    found.exclude_file.parent.mkdir(exist_ok=True)
    found.exclude_file.write_text("*.mine\n")
    async with temporary_copy(dependent) as copy:
        assert not (copy / ".git").exists()
        await begin_repository(copy, found)
        (copy / "a.mine").touch()
        assert (await files_of(copy), git(copy, "status", "--porcelain")) == (files, b"")
        (copy / "kept.py").write_text("print('changed')\n")
        git(copy, "commit", "--quiet", "--all", "--message=change")
    assert git(dependent, "rev-parse", "HEAD") == head


async def test_what_a_copy_holds_of_git_stays_in_it(root: Path, tmp_path: Path) -> None:
    """A submodule keeps its repository, which lies in the copy, too; a linked work tree inside has it elsewhere."""
    other = make_repository(tmp_path / "other")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "inner")
    git(root, "worktree", "add", "--quiet", str(root / "linked"))
    async with temporary_copy(root) as copy:
        assert [(copy / path / ".git").exists() for path in (".", "inner", "linked")] == [True, True, False]
