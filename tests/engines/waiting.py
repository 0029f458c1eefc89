"""Waits for what another process does, with a deadline."""

import time
from collections.abc import Callable

import psutil


def wait_until(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(0.02)


def has_ended(process: psutil.Process) -> bool:
    """Also when nobody has collected its exit status yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
