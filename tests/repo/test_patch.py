import asyncio
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from patchwright.errors import RepositoryError
from patchwright.repo.patch import merge
from patchwright.repo.snapshots import Snapshots
from tests.repo.trees import git, state_of


@dataclass(frozen=True)
class Node:
    content: bytes
    mode: int
    """0 for a symlink."""


PARTS = ("a", "b", "dir", "é", "sp ace", "q\"uo'te\\", "new\nline", "tab\t", "*.py", os.fsdecode(b"latin-\xe9"), "-x")
PATHS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)
LINES = st.lists(st.sampled_from(["x", "x\r", "def f():", "\tü", "", "\\ No newline", "diff --git a/a b/b", "--- a/b"]))
LONG = "".join(f"line {n}\n" for n in range(30))
TEXTS = LINES.map("\n".join) | st.sampled_from([LONG, LONG + "more", LONG.replace("\n", "\r\n"), "\f\v\x85\u2028\n"])
CONTENTS = TEXTS.map(str.encode) | st.binary(max_size=30) | st.just("größe\n".encode("latin-1") * 20)
FILES = st.builds(Node, CONTENTS, st.sampled_from([0o644, 0o755, 0o600]))
# No link to itself: `git apply` cannot put a directory in the place of one (it takes ELOOP for an error).
LINKS = st.builds(Node, st.sampled_from([b"nowhere", b"../outside", "größe".encode()]), st.just(0))
TREES = st.dictionaries(PATHS, FILES | LINKS, max_size=6)


def write(root: Path, tree: dict[str, Node]) -> None:
    """Make `root` hold `tree` and nothing else. A path that another one needs as a directory gives way."""
    for entry in root.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for path, node in tree.items():
        if not any(other.startswith(f"{path}/") for other in tree):
            _write_node(root / path, node)


def _write_node(path: Path, node: Node) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not node.mode:
        path.symlink_to(os.fsdecode(node.content))
        return
    path.write_bytes(node.content)
    path.chmod(node.mode)


def as_git_sees(state: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    """The state without the permission bits that a patch does not carry."""
    return {path: (mode & 0o170100, content) for path, (mode, content) in state.items()}


def git_apply(patch: str, onto: Path) -> None:
    """As a user does it: in a directory that is no repository, with the patch in a file."""
    file = onto.parent / "change.patch"
    file.write_text(patch, encoding="utf-8", newline="")
    environment = {"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(onto.parent)}
    if patch:
        subprocess.run(["git", "apply", str(file)], cwd=onto, env=environment, check=True, capture_output=True)


async def check_round_trip(directory: Path, before: dict[str, Node], after: dict[str, Node]) -> None:
    root, copy = directory / "tree", directory / "copy"
    root.mkdir()
    git(root, "init", "--quiet")
    write(root, before)
    first = state_of(root)
    snapshots = Snapshots(root, directory / "store")
    snapshot = await snapshots.take("before")
    shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))

    write(root, after)
    second = state_of(root)
    git_apply(await snapshots.diff(snapshot), copy)
    (copy / ".git").mkdir()
    assert as_git_sees(state_of(copy)) == as_git_sees(second)

    undone = await snapshots.restore(snapshot)
    assert state_of(root) == first
    await snapshots.restore(undone.before)
    assert state_of(root) == second


@settings(max_examples=int(os.environ.get("EXAMPLES", "12")), deadline=None)
@example(
    before={"b": Node(b"a", 0)},
    after={"a": Node(b"", 0o644), "b/a": Node(b"a", 0)},
)
@given(before=TREES, after=TREES)
def test_any_edit_makes_a_patch_that_applies_and_can_be_undone(before: dict[str, Node], after: dict[str, Node]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(check_round_trip(Path(directory), before, after))


async def test_a_rename_is_a_rename_and_a_mode_is_a_mode(root: Path, snapshots: Snapshots) -> None:
    snapshot = await snapshots.take("before")
    (root / "pkg" / "module.py").rename(root / "moved.py")
    (root / "kept.py").chmod(0o755)

    assert await snapshots.diff(snapshot) == (
        "diff --git a/kept.py b/kept.py\nold mode 100644\nnew mode 100755\n"
        "diff --git a/pkg/module.py b/moved.py\nsimilarity index 100%\nrename from pkg/module.py\nrename to moved.py\n"
    )


async def test_only_the_file_that_is_not_utf8_is_in_binary_form(root: Path, snapshots: Snapshots) -> None:
    snapshot = await snapshots.take("before")
    (root / "latin.py").write_bytes("# größe\n".encode("latin-1"))
    (root / "kept.py").write_text("# größe\n")

    patch = await snapshots.diff(snapshot)

    assert "+# größe\n" in patch
    assert patch.count("GIT binary patch") == 1


async def test_hunk_heading_that_git_cut_within_a_character_does_not_make_a_file_binary(
    root: Path, snapshots: Snapshots
) -> None:
    lines = ["def " + "ü" * 60, *("    pass" for _ in range(10)), "    return 1", ""]
    (root / "kept.py").write_text("\n".join(lines))
    snapshot = await snapshots.take("before")
    (root / "kept.py").write_text("\n".join(lines).replace("return 1", "return 2"))

    assert "-    return 1\n+    return 2\n" in await snapshots.diff(snapshot)


async def test_users_attributes_do_not_make_a_text_file_binary(root: Path, snapshots: Snapshots) -> None:
    (root / ".gitattributes").write_text("*.py -diff\n*.lock binary\n")
    snapshot = await snapshots.take("before")
    (root / "kept.py").write_text("readable\n")

    assert "+readable\n" in await snapshots.diff(snapshot)


def test_a_link_to_a_name_that_is_not_utf8_is_refused_by_name() -> None:
    section = b"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+\xe9\n"

    with pytest.raises(RepositoryError, match="a/l b/l: a symlink"):
        merge(section, section)
