"""A lock between processes, held through an open file: it is gone when the last process that has the file is."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from patchwright.errors import RepositoryError

_POLL_S = 0.02


@asynccontextmanager
async def locked(path: Path, timeout_s: float) -> AsyncGenerator[int]:
    """Holds the lock at `path`; yields the file descriptor that keeps it, for child processes to inherit.

    Raises RepositoryError when somebody else keeps it for longer than `timeout_s`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _acquire(descriptor, timeout_s)
        yield descriptor
    finally:
        os.close(descriptor)


async def _acquire(descriptor: int, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                if _try_lock(descriptor):
                    return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise RepositoryError(
            f"another process has kept the snapshots of this tree busy for {timeout_s:g} s",
            hint="wait for it to end, then try again",
        ) from None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
