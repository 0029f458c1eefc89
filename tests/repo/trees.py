"""Repositories for the tests of this package: the user's own git, and the state of a tree as a value."""

import os
import stat
import subprocess
from pathlib import Path

_IDENTITY = {f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(directory: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """The user's git, with an empty configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **_IDENTITY,
    }
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, input=stdin, env=environment, check=True, capture_output=True).stdout


def make_repository(root: Path) -> Path:
    """A work tree with one commit."""
    (root / "pkg").mkdir(parents=True)
    git(root, "init", "--quiet")
    (root / "kept.py").write_text("print('kept')\n")
    (root / "pkg" / "module.py").write_text("one\ntwo\nthree\n")
    (root / ".gitignore").write_text("*.log\n/.venv/\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    return root


def state_of(root: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and contents of every file and symlink outside the repository's .git, by path."""
    found: dict[str, tuple[int, bytes]] = {}
    for directory, subdirectories, files in os.walk(root):
        if Path(directory) == root:
            subdirectories.remove(".git")
        links = [name for name in subdirectories if Path(directory, name).is_symlink()]
        for name in (*files, *links):
            path = Path(directory, name)
            found[str(path.relative_to(root))] = (path.lstat().st_mode, _content(path))
    return found


def _content(path: Path) -> bytes:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return os.fsencode(path.readlink())
    return path.read_bytes() if stat.S_ISREG(mode) else b"<special>"
