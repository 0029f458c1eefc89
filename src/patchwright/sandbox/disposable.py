"""A sandbox over a copy of the work tree: what commands change is gone when it closes."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from patchwright.errors import SandboxError
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.kinds import SandboxKind, open_sandbox
from patchwright.sandbox.settings import SandboxSettings

_NOT_COPIED = (".git", "__pycache__", ".tox", ".nox", "node_modules", ".*_cache")


@asynccontextmanager
async def disposable_sandbox(kind: SandboxKind, work_tree: Path, settings: SandboxSettings) -> AsyncGenerator[Sandbox]:
    """With bubblewrap the copy costs nothing and stands in the tree's own place, so that what was installed from
    there (`pip install --editable`) is the copy's. Where no overlay can be mounted, files are copied to /tmp.

    Raises SandboxError.
    """
    async with AsyncExitStack() as stack:
        yield await _overlaid(stack, kind, work_tree, settings) or await _copied(stack, kind, work_tree, settings)


async def _overlaid(
    stack: AsyncExitStack, kind: SandboxKind, work_tree: Path, settings: SandboxSettings
) -> Sandbox | None:
    if kind != "bubblewrap":
        return None
    discarding = settings.model_copy(update={"discards_changes": True})
    try:
        return await stack.enter_async_context(open_sandbox(kind, work_tree, discarding))
    except SandboxError:
        return None


async def _copied(stack: AsyncExitStack, kind: SandboxKind, work_tree: Path, settings: SandboxSettings) -> Sandbox:
    copy = await stack.enter_async_context(temporary_copy(work_tree, left_out=_NOT_COPIED))
    return await stack.enter_async_context(open_sandbox(kind, copy, settings))


@asynccontextmanager
async def temporary_copy(work_tree: Path, left_out: Sequence[str] = ()) -> AsyncGenerator[Path]:
    """A copy of the tree, under its own name in a directory of its own, which is gone afterwards.

    `left_out`: patterns of the names that it does without. It has no `.git` that leads to a git directory outside of
    it, as those of linked work trees and submodules do: a commit in the copy would be one in the user's repository.
    Raises SandboxError.
    """
    by_name = shutil.ignore_patterns(*left_out)

    def ignored(directory: str, names: list[str]) -> set[str]:
        leads_out = ".git" in names and _leads_out(Path(directory) / ".git", work_tree)
        return by_name(directory, names) | ({".git"} if leads_out else set())

    async with AsyncExitStack() as stack:
        try:
            made = tempfile.TemporaryDirectory(prefix="patchwright-", ignore_cleanup_errors=True)
            copy = Path(stack.enter_context(made)) / work_tree.name
            await asyncio.to_thread(shutil.copytree, work_tree, copy, symlinks=True, ignore=ignored)
        except (OSError, shutil.Error) as error:
            raise SandboxError(f"{work_tree} cannot be copied: {error}") from None
        yield copy


def _leads_out(dot_git: Path, work_tree: Path) -> bool:
    """Whether it is no git directory, nor a file that names one in this work tree by a relative path."""
    if dot_git.is_symlink():
        return True
    if not dot_git.is_file():
        return False
    path = Path(os.fsdecode(dot_git.read_bytes()).removeprefix("gitdir:").strip())
    return path.is_absolute() or not (dot_git.parent / path).resolve().is_relative_to(work_tree.resolve())
