"""What was changed in a work tree, as a patch: recorded outside of it, where whoever works in it has no say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from patchwright.errors import BenchmarkError
from patchwright.repo.snapshot import Snapshot, before_run
from patchwright.repo.snapshots import Snapshots

LARGEST_CHARS = 5_000_000
"""No fix is as long; what is, holds files that were made by accident, and a thousand of them fill the memory."""


@dataclass(frozen=True)
class Recording:
    """A work tree as it was when the attempt began."""

    _snapshots: Snapshots
    _before: Snapshot

    @classmethod
    async def start(cls, tree: Path, directory: Path) -> Self:
        """Raises RepositoryError."""
        snapshots = Snapshots(tree, directory / "snapshots")
        return cls(snapshots, await snapshots.take(before_run("attempt")))

    async def patch(self) -> str:
        """The changes since, commits and new files included, ignored files left out.

        Raises RepositoryError, and BenchmarkError when they are beyond all measure.
        """
        patch = await self._snapshots.diff(self._before)
        if len(patch) > LARGEST_CHARS:
            raise BenchmarkError(f"the patch has {len(patch):,} characters, which is no fix")
        return patch
