"""The engine's own process: one llama.cpp server on loopback, until it is idle, told to stop, or replaced.

Run as `python -P -m patchwright.engines.child LOCK_FD` with a Launch as JSON on stdin and the log as stderr.
It forks at once; the copy that stays writes its pid to stdout, and a second line when it answers requests.
The end of stdout without that line means that it has died.
"""

import http.client
import json
import os
import signal
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import psutil

from patchwright.engines.launch import Launch
from patchwright.engines.state import READY, EngineFiles, EngineState

if TYPE_CHECKING:
    from xllamacpp import CommonParams

SPIN_COUNT = "1000"
"""How often a thread looks before it sleeps, when it waits for the others. With OpenMP's own 300,000, one other
process that computes took two thirds of the decoding speed on two cores; with this half, and alone none is lost."""

POLL_S = 1.0
ANSWER_S = 2.0
FIRST_ANSWER_S = 15.0
CLOSE_S = 1
"""llama.cpp ends between two batches, and a long prompt would keep it for half a minute."""

Activity: TypeAlias = list[tuple[int, bool]]
"""For each slot: the number of its last task, and whether it is at work."""


def main() -> None:
    launch = Launch.model_validate_json(sys.stdin.buffer.read())
    lock = int(sys.argv[1])
    if os.fork():
        os._exit(0)
    report = _detach()
    os.write(report, b"%d\n" % os.getpid())
    stop: SimpleQueue[int] = SimpleQueue()  # of all that can be waited for, the one that a handler may touch
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.put(number))
    # A load that never ends is ended by the kernel: no Python runs before llama.cpp gives the thread back.
    signal.setitimer(signal.ITIMER_REAL, launch.start_timeout_s)
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    import xllamacpp  # only after the fork, which does not copy the threads that it may start

    server = xllamacpp.Server(server_params(launch))
    watch = Watch(launch, server.listening_address)
    try:
        watch.publish()
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.close(lock)
        _say_ready(report)
        watch.until_unwanted(stop)
    finally:
        signal.alarm(CLOSE_S)
    del server  # the only way to close it: left to the interpreter's exit, it hangs


class Watch:
    """Publishes a healthy engine, keeps its time of last use, and says when nobody wants it any more."""

    def __init__(self, launch: Launch, url: str) -> None:
        self._launch = launch
        self._url = url
        self._files = EngineFiles(launch.directory, launch.id)
        self._activity: Activity = []

    def publish(self) -> None:
        """Writes the state file. Raises OSError when the server does not answer."""
        slots = self._slots(timeout_s=FIRST_ANSWER_S)
        self._activity = _activity(slots)
        state = EngineState(
            launch=self._launch,
            pid=os.getpid(),
            process_started_s=psutil.Process().create_time(),
            url=self._url,
            context_tokens=slots[0]["n_ctx"],
        )
        self._files.write_state(state)

    def until_unwanted(self, stop: SimpleQueue[int]) -> None:
        """Returns when told to stop, idle, or no longer the engine that the state file names."""
        while self._is_published():
            try:
                stop.get(timeout=POLL_S)
                self._files.state.unlink(missing_ok=True)
            except Empty:
                if self._is_idle():
                    self._withdraw()

    def _is_published(self) -> bool:
        state = self._files.read_state()
        return state is not None and state.pid == os.getpid()

    def _was_used(self) -> bool:
        try:
            activity = _activity(self._slots(timeout_s=ANSWER_S))
        except TimeoutError:
            return True  # in the middle of a batch
        before, self._activity = self._activity, activity
        return activity != before or any(working for _, working in activity)

    def _is_idle(self) -> bool:
        if self._was_used():
            self._files.touch()
        return self._files.unused_s() > self._launch.idle_s

    def _withdraw(self) -> None:
        """Takes the state file away, unless somebody is just connecting: they hold the lock, and touch it."""
        with self._files.try_lock() as lock:
            if lock is not None and self._files.unused_s() > self._launch.idle_s:
                self._files.state.unlink(missing_ok=True)

    def _slots(self, timeout_s: float) -> list[dict[str, Any]]:
        address = urlsplit(self._url)
        connection = http.client.HTTPConnection(address.netloc, timeout=timeout_s)
        try:
            connection.request("GET", "/slots", headers=_authorization(self._launch))
            return json.load(connection.getresponse())
        finally:
            connection.close()


def server_params(launch: Launch) -> "CommonParams":
    """The launch in llama.cpp's own terms: on loopback, for who has the key, closed to web pages."""
    from xllamacpp import CommonParams, common_speculative_type, ggml_type

    params = CommonParams()
    params.model.path = str(launch.path)
    params.model_alias = {launch.model}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [launch.api_key.get_secret_value()]
    params.cors_origins = ""
    params.cors_credentials = False
    params.ui = False
    params.fit_params = False
    params.n_ctx = launch.context_tokens
    params.kv_unified = True  # the slots share one cache: alone, each has all of it
    params.n_parallel = launch.slots
    params.cache_type_k = params.cache_type_v = ggml_type[f"GGML_TYPE_{launch.kv_type.upper()}"]
    params.cache_ram_mib = launch.cache_ram_mib
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = launch.threads
    params.no_extra_bufts = not launch.repack
    if launch.ngram_speculation:
        params.speculative.types = [common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
    return params


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


def _activity(slots: list[dict[str, Any]]) -> Activity:
    return [(slot.get("id_task", -1), slot["is_processing"]) for slot in slots]


def _authorization(launch: Launch) -> dict[str, str]:
    return {"Authorization": f"Bearer {launch.api_key.get_secret_value()}"}


if __name__ == "__main__":
    main()
