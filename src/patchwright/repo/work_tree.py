"""A work tree: the directory that a git repository has checked out."""

import asyncio
from pathlib import Path

from patchwright.errors import RepositoryError
from patchwright.repo.git import Git, GitError, join, split
from patchwright.schema.record import Record


class WorkTree(Record):
    """Where the repository is. `head` is the commit that is checked out, None before the first one."""

    root: Path
    head: str | None
    exclude_file: Path
    """The user's own ignore rules outside the tree (.git/info/exclude); it need not exist."""


async def find_work_tree(directory: Path) -> WorkTree:
    """The work tree that `directory` is in. No program that the repository's configuration names is run.

    Raises RepositoryError when there is none: no repository, a bare one, no directory, no git.
    """
    git = Git(directory)
    if (await _inside(git, directory)).strip() != b"true":
        raise RepositoryError(
            f"{directory}: inside a git repository, but not in a work tree", hint="go to the directory with the files"
        )
    root, exclude_file, head = await asyncio.gather(
        git.run("rev-parse", "--show-toplevel"),
        git.run("rev-parse", "--path-format=absolute", "--git-path", "info/exclude"),
        git.run("rev-parse", "--revs-only", "HEAD"),
    )
    return WorkTree(root=_path(root), exclude_file=_path(exclude_file), head=head.decode().strip() or None)


async def files_of(root: Path) -> tuple[str, ...]:
    """Tracked files and untracked ones that are not ignored, relative to `root`, in git's order."""
    listing = await Git(root).run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = (name.decode("utf-8", "replace") for name in listing.split(b"\0") if name)
    return tuple(dict.fromkeys(paths))


async def begin_repository(copy: Path, original: WorkTree) -> None:
    """Make the copy of a work tree, without its repository, one of its own: a commit of the files that are tracked.

    Raises RepositoryError.
    """
    listing = await Git(original.root).run("ls-files", "-z", "--cached")
    tracked = [path for path in split(listing) if (copy / path).is_symlink() or (copy / path).is_file()]
    git = Git(copy)
    await git.run("init", "--quiet", "--template=")
    if original.exclude_file.is_file():
        (copy / ".git" / "info").mkdir()
        (copy / ".git" / "info" / "exclude").write_bytes(original.exclude_file.read_bytes())
    await git.run("update-index", "-z", "--add", "--stdin", stdin=join(tracked))
    await git.run("commit", "--quiet", "--allow-empty", "--message=the tree as it was")


async def _inside(git: Git, directory: Path) -> bytes:
    try:
        return await git.run("rev-parse", "--is-inside-work-tree")
    except GitError as error:
        if "not a git repository" not in error.stderr:
            raise
        raise RepositoryError(f"{directory}: not a git repository", hint="run `git init` there first") from None


def _path(line: bytes) -> Path:
    """A path may itself end in a newline, so only git's own is cut off."""
    return Path(line.removesuffix(b"\n").decode("utf-8", "surrogateescape"))
