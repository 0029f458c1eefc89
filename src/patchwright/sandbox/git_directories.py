"""Where a work tree keeps its git directory: inside, or elsewhere for linked work trees and submodules."""

from pathlib import Path

from patchwright.errors import SandboxError

# Each of these files holds a path or a few.
_LIMIT_BYTES = 65_536


def git_paths(work_tree: Path) -> tuple[Path, ...]:
    """Every path that git needs to read for this work tree, and that commands must not change.

    The first is `.git` itself, a directory or the file that points to one. What it points to counts only
    if it looks like a git directory: the work tree may be somebody else's, and must not be able to make
    other directories visible. Raises SandboxError when `.git` is a symlink, which could be replaced.
    """
    dot_git = work_tree / ".git"
    if dot_git.is_symlink():
        raise SandboxError(
            f"{dot_git} is a symbolic link, which cannot be protected", hint="replace it by a `gitdir:` file"
        )
    if not dot_git.exists():
        return ()
    git_directory = dot_git if dot_git.is_dir() else _pointed_to(dot_git, "gitdir:")
    if git_directory is None:
        return (dot_git,)
    common = _pointed_to(git_directory / "commondir", "") or git_directory
    alternates = _alternates(common / "objects")
    return tuple(dict.fromkeys((dot_git, common, git_directory, *alternates)))


def _pointed_to(file: Path, prefix: str) -> Path | None:
    line = _read(file).strip()
    if not line or not line.startswith(prefix):
        return None
    target = (file.parent / line.removeprefix(prefix).strip()).resolve()
    return target if _is_git_directory(target) else None


def _is_git_directory(path: Path) -> bool:
    """As git itself decides (`is_git_directory` in its setup.c), less the contents of HEAD."""
    if (path / "commondir").is_file():
        return (path / "HEAD").is_file()
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _alternates(objects: Path) -> list[Path]:
    lines = _read(objects / "info" / "alternates").splitlines()
    paths = [(objects / line).resolve() for line in lines if line and not line.startswith("#")]
    return [path for path in paths if path.name == "objects" and (path / "pack").is_dir()]


def _read(file: Path) -> str:
    if not file.is_file() or file.stat().st_size > _LIMIT_BYTES:
        return ""
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
