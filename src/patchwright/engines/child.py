"""The engine's own process: it hosts or watches one server until that is idle, told to stop, or replaced.

Run as `python -P -m patchwright.engines.child LOCK_FD` with a launch as JSON on stdin and the log as stderr.
It forks at once; the copy that stays writes its pid to stdout, and a second line when it answers requests.
The end of stdout without that line means that it has died.
"""

import os
import signal
import sys
from contextlib import AbstractContextManager, suppress
from queue import SimpleQueue

from patchwright.engines.launch import LAUNCH, LlamaCppLaunch, ServedLaunch
from patchwright.engines.server import Server
from patchwright.engines.state import READY
from patchwright.engines.watch import Watch


def main() -> None:
    launch = LAUNCH.validate_json(sys.stdin.buffer.read())
    lock = int(sys.argv[1])
    if os.fork():
        os._exit(0)
    report = _detach()
    os.write(report, b"%d\n" % os.getpid())
    stop: SimpleQueue[int] = SimpleQueue()  # of all that can be waited for, the one that a handler may touch
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.put(number))
    with _serving(launch, stop) as server:
        watch = Watch(launch, server)
        watch.publish()
        os.close(lock)
        _say_ready(report)
        watch.until_unwanted(stop)


def _serving(launch: LlamaCppLaunch | ServedLaunch, stop: SimpleQueue[int]) -> AbstractContextManager[Server]:
    if isinstance(launch, LlamaCppLaunch):
        from patchwright.engines.llama_cpp_server import llama_cpp_server

        return llama_cpp_server(launch)
    from patchwright.engines.served_process import served_process

    return served_process(launch, stop)


def _detach() -> int:
    """Leaves the terminal's session and the starter's stdio; the descriptor on which to report."""
    os.setsid()
    report = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return report


def _say_ready(report: int) -> None:
    with suppress(BrokenPipeError):  # the starter is gone; the next one finds us
        os.write(report, READY)
    os.close(report)


if __name__ == "__main__":
    main()
