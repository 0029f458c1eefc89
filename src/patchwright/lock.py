"""A lock that is a file: held by one process of all, and by the children that inherit its descriptor.

It ends when the last copy of the descriptor is closed: a child that inherits it goes on holding it when its parent
dies, and no lock outlives its processes.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

POLL_S = 0.02


@contextmanager
def try_lock(path: Path) -> Generator[int | None]:
    """The descriptor that holds the lock, or None when somebody else has it. Raises OSError."""
    with _opened(path) as descriptor:
        yield descriptor if taken(descriptor) else None


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Generator[int]:
    """Holds the lock, whenever it is to be had; `on_wait` is called when somebody else has it. Raises OSError."""
    with _opened(path) as descriptor:
        if not taken(descriptor):
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor


@asynccontextmanager
async def locked_within(path: Path, timeout_s: float, busy: Exception) -> AsyncGenerator[int]:
    """Holds the lock, or raises `busy` when somebody else does for so long. Raises OSError.

    Polls: a thread that waits for a lock cannot be cancelled.
    """
    deadline_s = time.monotonic() + timeout_s
    with _opened(path) as descriptor:
        while not taken(descriptor):
            if time.monotonic() > deadline_s:
                raise busy
            await asyncio.sleep(POLL_S)
        yield descriptor


def taken(descriptor: int) -> bool:
    """Takes the lock on what is open there, a file or a directory; False when somebody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Generator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # as the umask has it: directories may be shared
    try:
        yield descriptor
    finally:
        os.close(descriptor)
