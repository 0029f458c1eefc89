"""A served engine's program, watched: started in a group of its own, behind the gate, and ended with all it started."""

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from patchwright.engines.gate import Gate, Upstream
from patchwright.engines.group import process_group
from patchwright.engines.launch import ServedLaunch

POLL_S = 0.2
ANSWER_S = 10.0
CLOSE_S = 3.0
"""For the program to end in order, with what it has in shared memory; then its group is killed."""

_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Of the starter's environment, what would lead a program of another environment to our packages."""


@contextmanager
def served_process(launch: ServedLaunch, stop: "SimpleQueue[int]") -> "Generator[ServedProcess]":
    """The program, once it is ready. Raises SystemExit when it ends, takes too long, or is not wanted any more.

    The current directory is the launch's: a socket's path must be short.
    """
    options, upstream = _address(launch)
    with process_group() as group, _running(launch, options, group) as process:
        gate = Gate(launch.api_key.get_secret_value(), upstream)
        gate.start()
        served = ServedProcess(launch, process, gate)
        served.wait_until_ready(stop)
        yield served


class ServedProcess:
    """The program behind the gate."""

    def __init__(self, launch: ServedLaunch, process: "subprocess.Popen[bytes]", gate: Gate) -> None:
        self._launch = launch
        self._process = process
        self._gate = gate
        self.url = gate.url
        self.context_tokens = launch.context_tokens

    def was_used(self) -> bool:
        return self._gate.take_use()

    def lives(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self, stop: "SimpleQueue[int]") -> None:
        deadline_s = time.monotonic() + self._launch.start_timeout_s
        while not self._answers():
            if not self.lives() or time.monotonic() > deadline_s or _is_told(stop):
                raise SystemExit(1)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=ANSWER_S)
        headers = {"Authorization": f"Bearer {self._launch.api_key.get_secret_value()}"}
        try:
            connection.request("GET", self._launch.probe, headers=headers)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _is_told(stop: "SimpleQueue[int]") -> bool:
    try:
        stop.get(timeout=POLL_S)
    except Empty:
        return False
    return True


@contextmanager
def _running(launch: ServedLaunch, options: list[str], group: int) -> "Generator[subprocess.Popen[bytes]]":
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    environment = inherited | launch.variables
    command = [*launch.command, *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, process_group=group) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(CLOSE_S)
            process.kill()


def _address(launch: ServedLaunch) -> tuple[list[str], Upstream]:
    """The options that say where to listen, and how to get there."""
    if launch.address == "uds":
        path = f"{launch.id}.sock"
        Path(path).unlink(missing_ok=True)
        return ["--uds", path], lambda: asyncio.open_unix_connection(path)
    port = _free_port()
    return ["--host", "127.0.0.1", "--port", str(port)], lambda: asyncio.open_connection("127.0.0.1", port)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
