"""A process group that ends as a whole, also when the process that made it is killed."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import NoReturn


@contextmanager
def process_group() -> Generator[int]:
    """The number of a new group for `Popen(process_group=…)`, killed when the block is left or this process dies.

    A warden holds the group together: a copy of this process that does nothing but read from a pipe, which ends when
    we do. To be called before threads are started, which a copy would not have.
    """
    watched, held = os.pipe()
    warden = os.fork()
    if warden == 0:
        _keep_watch(watched)
    os.close(watched)
    os.setpgid(warden, warden)  # the warden does so as well: whoever comes first
    try:
        yield warden
    finally:
        with suppress(ProcessLookupError):
            os.killpg(warden, signal.SIGKILL)
        os.close(held)
        os.waitpid(warden, 0)


def _keep_watch(watched: int) -> NoReturn:
    """Asks the group to end by SIGTERM, and the warden stays: it goes last."""
    os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.closerange(3, watched)
    os.closerange(watched + 1, os.sysconf("SC_OPEN_MAX"))
    os.read(watched, 1)
    os.killpg(0, signal.SIGKILL)
    os._exit(0)
