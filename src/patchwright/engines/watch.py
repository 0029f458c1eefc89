"""The watch over an engine: publishes it, keeps its time of last use, and says when nobody wants it any more."""

import os
from queue import Empty, SimpleQueue

import psutil

from patchwright.engines.launch import LlamaCppLaunch, ServedLaunch
from patchwright.engines.server import Server
from patchwright.engines.state import EngineFiles, EngineState
from patchwright.lock import try_lock

POLL_S = 1.0


class Watch:
    """Over a server that answers, from the process whose pid names the engine."""

    def __init__(self, launch: LlamaCppLaunch | ServedLaunch, server: Server) -> None:
        self._launch = launch
        self._server = server
        self._files = EngineFiles(launch.directory, launch.id)

    def publish(self) -> None:
        """Writes the state file."""
        state = EngineState(
            launch=self._launch,
            pid=os.getpid(),
            process_started_s=psutil.Process().create_time(),
            url=self._server.url,
            context_tokens=self._server.context_tokens,
        )
        self._files.write_state(state)

    def until_unwanted(self, stop: SimpleQueue[int]) -> None:
        """Returns when told to stop, idle, dead, or no longer the engine that the state file names."""
        while self._is_published():
            try:
                stop.get(timeout=POLL_S)
                self._files.state.unlink(missing_ok=True)
            except Empty:
                self._look()

    def _is_published(self) -> bool:
        state = self._files.read_state()
        return state is not None and state.pid == os.getpid()

    def _look(self) -> None:
        if not self._server.lives():
            self._files.state.unlink(missing_ok=True)
        elif self._server.was_used():
            self._files.touch()
        elif self._files.unused_s() > self._launch.idle_s:
            self._withdraw()

    def _withdraw(self) -> None:
        """Takes the state file away, unless somebody is just connecting: they hold the lock, and touch it."""
        with try_lock(self._files.lock) as lock:
            if lock is not None and self._files.unused_s() > self._launch.idle_s:
                self._files.state.unlink(missing_ok=True)
