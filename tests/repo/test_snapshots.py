import asyncio
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from patchwright.errors import RepositoryError
from patchwright.repo.snapshot import Change, LeftOut, after_undo, before_run, before_undo, last_run
from patchwright.repo.snapshots import Snapshots
from tests.repo.trees import git, make_repository, state_of

NOT_UTF8 = os.fsdecode(b"caf\xe9.txt")


async def test_restore_brings_back_bytes_modes_names_and_symlinks(root: Path, snapshots: Snapshots) -> None:
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    (root / "secret").write_bytes(b"\r\nkey\xff\0\r\n")
    (root / "secret").chmod(0o600)
    (root / NOT_UTF8).write_text("name in latin-1")
    (root / "two\nlines \t'\"").write_text("odd name")
    (root / "git~1").write_text("a name that Windows would take for .git")
    (root / "link").symlink_to("kept.py")
    (root / "dangling").symlink_to("nowhere")
    before = state_of(root)
    snapshot = await snapshots.take("before")

    for name in ("run.sh", "secret"):
        (root / name).chmod(0o644)
    (root / "secret").write_text("overwritten")
    (root / NOT_UTF8).unlink()
    (root / "git~1").unlink()
    (root / "two\nlines \t'\"").rename(root / "renamed")
    (root / "link").unlink()
    (root / "link").write_text("no link any more")
    shutil.rmtree(root / "pkg")
    (root / "pkg").write_text("no directory any more")
    (root / "kept.py").unlink()
    (root / "kept.py").mkdir()
    (root / "kept.py" / "new").write_text("made since")
    await snapshots.restore(snapshot)

    assert state_of(root) == before


async def test_the_same_files_have_the_same_name_and_no_snapshot_is_taken(root: Path, snapshots: Snapshots) -> None:
    name = await snapshots.tree()
    assert await snapshots.list() == ()
    assert (await snapshots.take("before")).tree == name
    (root / "new.py").write_text("new\n")
    assert await snapshots.tree() != name
    (root / "new.py").unlink()
    assert await snapshots.tree() == name


async def test_users_index_head_and_ignored_files_are_left_alone(root: Path, snapshots: Snapshots) -> None:
    (root / "staged.py").write_text("staged\n")
    git(root, "add", "staged.py")
    (root / "staged.py").write_text("and edited\n")
    (root / ".venv").mkdir()
    (root / ".venv" / "python").write_text("before")
    private = {path: path.read_bytes() for path in (root / ".git").rglob("*") if path.is_file()}
    snapshot = await snapshots.take("before")

    (root / "staged.py").write_text("by the run\n")
    (root / ".venv" / "python").write_text("after")
    (root / "build.log").write_text("after")
    await snapshots.restore(snapshot)

    assert (root / "staged.py").read_text() == "and edited\n"
    assert (root / ".venv" / "python").read_text() == "after"
    assert (root / "build.log").read_text() == "after"
    assert {path: path.read_bytes() for path in (root / ".git").rglob("*") if path.is_file()} == private


async def test_tracked_file_is_kept_though_it_is_ignored(root: Path, snapshots: Snapshots) -> None:
    (root / "kept.log").write_text("tracked\n")
    git(root, "add", "--force", "kept.log")
    snapshot = await snapshots.take("before")

    (root / "kept.log").unlink()
    await snapshots.restore(snapshot)

    assert (root / "kept.log").read_text() == "tracked\n"


async def test_users_exclude_file_counts(root: Path, snapshots: Snapshots) -> None:
    (root / ".git" / "info" / "exclude").write_text("scratch\n")
    snapshot = await snapshots.take("before")
    (root / "scratch").write_text("mine")
    (root / "seen").write_text("ours")

    assert await snapshots.changes(snapshot) == (Change("seen", "added"),)


async def test_undo_can_be_undone(root: Path, snapshots: Snapshots) -> None:
    snapshot = await snapshots.take("before")
    (root / "kept.py").write_text("edited\n")
    (root / "new.py").write_text("new\n")
    (root / "new.py").chmod(0o600)
    edited = state_of(root)

    undone = await snapshots.restore(snapshot)
    await snapshots.restore(undone.before)

    assert undone.changes == (Change("kept.py", "modified"), Change("new.py", "removed"))
    assert state_of(root) == edited


async def test_file_hidden_by_an_edited_gitignore_is_removed_and_comes_back(root: Path, snapshots: Snapshots) -> None:
    before = state_of(root)
    snapshot = await snapshots.take("before")
    (root / ".gitignore").write_text("*\n")
    (root / "hidden.py").write_text("made since, and hidden\n")
    edited = state_of(root)

    undone = await snapshots.restore(snapshot)
    assert state_of(root) == before

    await snapshots.restore(undone.before)
    assert state_of(root) == edited


async def test_ignored_file_survives_an_edited_gitignore(root: Path, snapshots: Snapshots) -> None:
    (root / ".venv").mkdir()
    (root / ".venv" / "python").write_text("the user's")
    before = state_of(root)
    snapshot = await snapshots.take("before")
    (root / ".gitignore").unlink()
    await snapshots.take("after step 1")

    undone = await snapshots.restore(snapshot)

    assert state_of(root) == before
    assert undone.changes == (Change(".gitignore", "added"),)


async def test_ignored_file_in_the_way_stops_a_restore_before_it_begins(root: Path, snapshots: Snapshots) -> None:
    snapshot = await snapshots.take("before")
    (root / "kept.py").unlink()
    (root / "kept.py").mkdir()
    (root / "kept.py" / "trace.log").write_text("ignored, in no snapshot")
    (root / "pkg" / "module.py").write_text("edited\n")
    edited = state_of(root)

    with pytest.raises(RepositoryError, match=r"kept\.py/trace\.log: in the way"):
        await snapshots.restore(snapshot)

    assert state_of(root) == edited


def facts_of(directory: Path) -> dict[str, tuple[int, int, int, str]]:
    """All that a write would change, for each file."""
    found = {path: path.lstat() for path in directory.iterdir()}
    return {path.name: (s.st_ino, s.st_mode, s.st_mtime_ns, path.read_text()) for path, s in found.items()}


async def test_restore_does_not_write_through_a_symlinked_directory(
    root: Path, snapshots: Snapshots, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "module.py").write_text("not yours\n")
    (outside / "module.py").chmod(0o600)
    (outside / "extra.py").write_text("not yours\n")
    (root / "pkg" / "extra.py").write_text("gone later\n")
    before = state_of(root)
    snapshot = await snapshots.take("before")
    shutil.rmtree(root / "pkg")
    (root / "pkg").symlink_to(outside)
    await snapshots.take("after step 1")
    untouched = facts_of(outside)

    await snapshots.restore(snapshot)

    assert state_of(root) == before
    assert facts_of(outside) == untouched


async def test_no_program_that_the_repository_names_is_run(root: Path, snapshots: Snapshots, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 >> {canary}\ncat\n")
    trap.chmod(0o755)
    hooks = root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "post-checkout", "pre-auto-gc", "reference-transaction"):
        (hooks / hook).symlink_to(trap)
    filters = (f"filter.trap.{part}" for part in ("clean", "smudge", "process"))
    for setting in (*filters, "core.fsmonitor", "diff.external", "diff.trap.textconv"):
        git(root, "config", setting, str(trap))
    git(root, "config", "core.autocrlf", "true")
    (root / ".gitattributes").write_text("* filter=trap diff=trap text eol=crlf ident working-tree-encoding=UTF-16\n")
    (root / "kept.py").write_bytes(b"$Id$\nunix\ndos\r\n")
    snapshot = await snapshots.take("before")
    (root / "kept.py").write_bytes(b"$Id$\r\nedited\n")
    patch = await snapshots.diff(snapshot)
    await snapshots.restore(snapshot)
    await snapshots.prune(keep=1)

    assert (root / "kept.py").read_bytes() == b"$Id$\nunix\ndos\r\n"
    assert "-dos\r\n" in patch
    assert not canary.exists(), canary.read_text()


async def test_repository_inside_the_tree_is_left_alone(root: Path, snapshots: Snapshots) -> None:
    snapshot_without = await snapshots.take("before")
    for name, commits in (("fresh", False), ("nested", True)):
        if commits:
            make_repository(root / name)
        else:
            (root / name).mkdir()
            git(root / name, "init", "--quiet")
            (root / name / "file").write_text("inside")
    before = state_of(root)

    snapshot = await snapshots.take("with repositories")
    await snapshots.restore(snapshot_without)

    assert snapshot.left_out == (
        LeftOut("fresh/", "a repository of its own"),
        LeftOut("nested/", "a repository of its own"),
    )
    assert state_of(root) == before


async def test_large_new_file_is_left_out_and_said(root: Path, store_dir: Path) -> None:
    snapshots = Snapshots(root, store_dir, file_limit_bytes=1_000_000)
    first = await snapshots.take("before")
    (root / "core").write_bytes(bytes(2_000_000))

    snapshot = await snapshots.take("after step 1")
    await snapshots.restore(first)

    assert snapshot.left_out == (LeftOut("core", "2 MB, more than the 1 MB that are kept"),)
    assert (root / "core").stat().st_size == 2_000_000


async def test_file_that_grew_too_large_is_restored_and_can_be_had_again(root: Path, store_dir: Path) -> None:
    snapshots = Snapshots(root, store_dir, file_limit_bytes=1_000_000)
    small = await snapshots.take("before")
    (root / "kept.py").write_bytes(bytes(2_000_000))
    large = await snapshots.take("after step 1")

    undone = await snapshots.restore(small)
    assert (root / "kept.py").read_text() == "print('kept')\n"
    await snapshots.restore(undone.before)
    assert (root / "kept.py").read_bytes() == bytes(2_000_000)

    (root / "kept.py").write_text("the user's own, later\n")
    await snapshots.restore(large)
    assert (root / "kept.py").read_text() == "the user's own, later\n"


async def test_pipe_in_place_of_a_file_gives_way(root: Path, snapshots: Snapshots) -> None:
    before = state_of(root)
    snapshot = await snapshots.take("before")
    (root / "kept.py").unlink()
    os.mkfifo(root / "kept.py")

    await snapshots.restore(snapshot)

    assert state_of(root) == before


async def test_unchanged_tree_is_taken_from_the_stat_cache(root: Path, snapshots: Snapshots, store_dir: Path) -> None:
    for number in range(50):
        (root / f"file{number}.py").write_text(f"{number}\n" * 50)
    first = await snapshots.take("before")
    (index,) = store_dir.glob("*/index")
    written_ns = index.stat().st_mtime_ns

    durations_s: list[float] = []
    for _ in range(5):
        started_s = asyncio.get_running_loop().time()
        snapshot = await snapshots.take("again")
        durations_s.append(asyncio.get_running_loop().time() - started_s)

    assert snapshot.tree == first.tree
    assert index.stat().st_mtime_ns == written_ns, "files were taken in again"
    assert min(durations_s) < 0.5


async def test_two_at_once_wait_for_each_other(root: Path, store_dir: Path) -> None:
    one, other = Snapshots(root, store_dir), Snapshots(root, store_dir)

    taken = await asyncio.gather(*(who.take(f"{n}") for n in range(4) for who in (one, other)))

    assert sorted(snapshot.number for snapshot in taken) == list(range(1, 9))
    assert {snapshot.tree for snapshot in taken} == {taken[0].tree}


async def test_held_lock_is_an_error_that_says_so(root: Path, store_dir: Path) -> None:
    impatient = Snapshots(root, store_dir, lock_timeout_s=0.05)

    async with Snapshots(root, store_dir)._shadow():
        with pytest.raises(RepositoryError, match="another process"):
            await impatient.take("meanwhile")


async def test_lock_that_a_killed_git_left_is_cleared(root: Path, snapshots: Snapshots, store_dir: Path) -> None:
    await snapshots.take("before")
    (git_dir,) = (path for path in store_dir.iterdir() if path.is_dir())
    (git_dir / "index.lock").touch()
    (git_dir / "packed-refs.lock").touch()
    (root / "new.py").write_text("new\n")

    snapshot = await snapshots.take("after")

    assert await snapshots.changes(await snapshots.find("1"), snapshot) == (Change("new.py", "added"),)


async def test_store_inside_the_tree_is_refused(root: Path) -> None:
    with pytest.raises(RepositoryError, match="cannot be kept inside the tree"):
        await Snapshots(root, root / "state").take("before")


async def test_store_is_for_its_owner_alone(snapshots: Snapshots, store_dir: Path) -> None:
    await snapshots.take("before")

    assert store_dir.stat().st_mode & 0o777 == 0o700


async def test_tree_whose_repository_has_gone_can_still_be_restored(root: Path, snapshots: Snapshots) -> None:
    snapshot = await snapshots.take("before")
    shutil.rmtree(root / ".git")
    (root / "kept.py").unlink()

    await snapshots.restore(snapshot)

    assert (root / "kept.py").read_text() == "print('kept')\n"


async def test_prune_keeps_what_undoing_the_last_run_needs(root: Path, snapshots: Snapshots) -> None:
    old = [await snapshots.take(f"after step {n}") for n in range(3)]
    run = await snapshots.take(before_run("s"))
    (root / "kept.py").write_text("edited\n")
    step = await snapshots.take("after step 1")

    gone = await snapshots.prune(keep=1, max_age=timedelta(0))

    assert gone == tuple(old)
    assert await snapshots.list() == (run, step)
    await snapshots.restore(run)
    assert (root / "kept.py").read_text() == "print('kept')\n"


async def test_prune_gives_the_disk_space_back(root: Path, snapshots: Snapshots, store_dir: Path) -> None:
    for number in range(2600):
        (root / f"{number}.txt").write_text(f"{number}\n")
    await snapshots.take("many files")
    for number in range(2600):
        (root / f"{number}.txt").unlink()
    await snapshots.take("none")
    loose = len([path for path in store_dir.rglob("objects/??/*") if path.is_file()])

    await snapshots.prune(keep=1)

    assert loose > 2600
    assert len([path for path in store_dir.rglob("objects/??/*") if path.is_file()]) < 100


async def test_last_run_is_the_one_whose_changes_are_still_there(root: Path, snapshots: Snapshots) -> None:
    async def current() -> object:
        return last_run(await snapshots.list())

    assert await current() is None
    first = await snapshots.take(before_run("first"))
    (root / "kept.py").write_text("first\n")
    second = await snapshots.take(before_run("second"))
    (root / "kept.py").write_text("second\n")
    assert await current() == second

    undone = await snapshots.restore(second)
    assert (undone.before.label, undone.after.label) == (before_undo(second), after_undo(second))
    assert await current() == first
    await snapshots.restore(undone.before)
    assert await current() == second
    await snapshots.restore(first)
    assert await current() is None
