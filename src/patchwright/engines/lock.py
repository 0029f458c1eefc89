"""A lock that is a file: held by one process of all, and by the children that inherit its descriptor."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from patchwright.errors import EngineError

POLL_S = 0.05


@contextmanager
def try_lock(path: Path) -> Generator[int | None]:
    """The descriptor that holds the lock, or None when somebody else has it.

    The lock ends when the last copy of the descriptor is closed, so that a child which inherits it goes on holding
    it when its parent dies.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor if _lock(descriptor) else None
    finally:
        os.close(descriptor)


@asynccontextmanager
async def locked(path: Path, doing: str, timeout_s: float) -> AsyncGenerator[int]:
    """Holds the lock. Polls: a thread that waits for a lock cannot be cancelled. Raises EngineError after a while."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        with try_lock(path) as lock:
            if lock is not None:
                yield lock
                return
        if time.monotonic() > deadline_s:
            raise EngineError(f"another process has been {doing} for {timeout_s:.0f} s")
        await asyncio.sleep(POLL_S)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
