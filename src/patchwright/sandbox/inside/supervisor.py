"""The supervisor: runs commands and touches files for the host, and looks after every process meanwhile.

The first frame configures it; each later one is a request, answered by one frame with the same `id`. One
request runs at a time; `cancel` alone is heard meanwhile. In a PID namespace it is process 1, so that no
command can kill it and nothing outlives it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from types import FrameType
from typing import Any

from patchwright.sandbox.inside.channel import Channel, Refused, shown
from patchwright.sandbox.inside.files import Files
from patchwright.sandbox.inside.output import Output
from patchwright.sandbox.inside.processes import Process, Processes, Watchdog, reap
from patchwright.sandbox.inside.shell import Child, Shell

_CHUNK_BYTES = 1 << 20
_WATCH_INTERVAL_S = 0.1
# Process substitutions may still be printing when bash is gone; a daemon must not hold the command for longer.
_LATE_OUTPUT_S = 0.05
_OOM_SCORE = 500
_REASONS = {
    errno.ENOENT: "not found",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "permission denied, since it is read-only",
    errno.EISDIR: "is a directory",
    errno.ENOTDIR: "not a directory",
}
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """One loop around poll: requests, children that end, output."""

    def __init__(self, channel: Channel, config: dict[str, Any]) -> None:
        self._channel = channel
        self._root: str = config["root"]
        self._grace_s: float = config["interrupt_grace_s"]
        self._processes = Processes()
        self._watchdog = Watchdog(self._processes, config["memory_bytes"], config["processes"])
        self._shell = Shell(self._root, config["environment"])
        self._files = Files(self._root, config["readable"])
        self._requests: list[tuple[dict[str, Any], bytes]] = []
        self._cancelled: int | None = None
        self._running: tuple[Child, Output] | None = None
        self._notes: list[str] = []
        self._has_children = False
        self._wake = _wake_on_child()
        self._poll = select.poll()
        for descriptor in (channel.reader, self._wake):
            self._poll.register(descriptor, select.POLLIN)

    def serve(self) -> None:
        """Until the host hangs up; nothing stays behind then."""
        writable = os.access(self._root, os.W_OK | os.X_OK)
        self._channel.send({"id": 0, "writable": writable})
        while not self._channel.closed:
            self._wait(_WATCH_INTERVAL_S if self._has_children else None)
            if self._has_children:
                self._watch(None)
            while self._requests and not self._channel.closed:
                self._answer(*self._requests.pop(0))
        self._processes.kill_all()

    def _answer(self, request: dict[str, Any], body: bytes) -> None:
        try:
            answer, data = self._perform(request, body)
        except (Refused, ValueError) as error:
            answer, data = {"error": str(error)}, b""
        except OSError as error:
            answer, data = {"error": _reason(error)}, b""
        self._channel.send({"id": request["id"], **answer}, data)

    def _perform(self, request: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        operation = request["op"]
        if operation == "run":
            return self._run(request, body)
        if operation == "read":
            return {}, self._files.read(request["path"], request["limit_bytes"])
        if operation == "info":
            return {"info": self._files.info(request["path"])}, b""
        if operation == "list":
            return {"entries": self._files.list(request["path"], request["depth"], request["limit"])}, b""
        if operation == "write":
            self._files.write(request["path"], body)
        else:
            self._files.remove(request["path"])
        return {}, b""

    def _run(self, request: dict[str, Any], command: bytes) -> tuple[dict[str, Any], bytes]:
        started = time.monotonic()
        output = Output(request["output_limit_bytes"])
        child, output_fd = self._shell.start(command, request["fresh"])
        self._running = (child, output)
        self._poll.register(output_fd, select.POLLIN)
        timed_out = self._see_through(child, request["id"], started + request["timeout_s"])
        self._drain(child)
        self._running = None
        self._shell.finish(child)
        while self._notes:
            output.note(self._notes.pop(0))
        head, tail = output.parts()
        answer = {
            "exit_code": child.exit_code,
            "duration_s": time.monotonic() - started,
            "timed_out": timed_out,
            "omitted_bytes": output.omitted_bytes,
            "head_bytes": len(head),
            "cwd": shown(self._root if request["fresh"] else self._shell.cwd),
        }
        return answer, head + tail

    def _see_through(self, child: Child, number: int, deadline: float) -> bool:
        """Until the command has ended: by itself, on SIGINT, or killed. True when it ran out of time."""
        kill_at = deadline + self._grace_s
        asked: list[Process] | None = None
        while child.exit_code is None:
            now = time.monotonic()
            if self._channel.closed or self._cancelled == number or now >= kill_at:
                self._processes.kill_command(child.pid, asked or ())
            elif now >= deadline and asked is None:
                asked = self._processes.interrupt_command(child.pid)
            self._watch(child)
            until = deadline if asked is None else kill_at
            self._wait(min(_WATCH_INTERVAL_S, max(0.01, until - time.monotonic())))
        if asked is not None:
            # Background jobs ignore SIGINT, and belong to what ran out of time.
            self._processes.kill_command(child.pid, asked)
        return asked is not None

    def _drain(self, child: Child) -> None:
        """Take what is in the pipe; whoever still holds it may go on printing, but nobody listens."""
        until = time.monotonic() + _LATE_OUTPUT_S
        while child.output is not None and time.monotonic() < until:
            self._wait(until - time.monotonic())
        if child.output is not None:
            unread = struct.unpack("i", fcntl.ioctl(child.output, termios.FIONREAD, bytes(4)))[0]
            self._take(child.output, unread)

    def _watch(self, child: Child | None) -> None:
        note = self._watchdog.check(None if child is None else child.pid)
        if note is not None and note not in self._notes:
            self._notes.append(note)

    def _wait(self, timeout_s: float | None) -> None:
        """Until something happens, which is dealt with, or the time is up."""
        ready = self._poll.poll(None if timeout_s is None else timeout_s * 1000)
        for descriptor, _ in ready:
            if descriptor == self._wake:
                os.read(self._wake, _CHUNK_BYTES)
            elif descriptor == self._channel.reader:
                self._receive()
            else:
                self._take(descriptor, _CHUNK_BYTES)
        ended, self._has_children = reap()
        if self._running is not None and self._running[0].pid in ended:
            self._running[0].ended(ended[self._running[0].pid])

    def _receive(self) -> None:
        for head, body in self._channel.receive():
            if head["op"] == "cancel":
                self._cancelled = head["target"]
            else:
                self._requests.append((head, body))

    def _take(self, descriptor: int, size: int) -> None:
        """Read from a command's pipe: the running one's output is kept, an earlier one's is thrown away."""
        if size == 0:
            return
        chunk = os.read(descriptor, size)
        child, output = self._running or (None, None)
        is_current = child is not None and child.output == descriptor
        if chunk:
            if is_current and output is not None:
                output.add(chunk)
            return
        self._poll.unregister(descriptor)
        os.close(descriptor)
        if is_current and child is not None:
            child.output = None


def main() -> None:
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    # Python would turn it into an exception; by default, process 1 gets no signal from its own namespace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    config = _configuration(channel)
    _harden(config["memory_bytes"])
    Supervisor(channel, config).serve()


def _configuration(channel: Channel) -> dict[str, Any]:
    while not channel.closed:
        for config, _ in channel.receive():
            if config["path_from_image"]:
                config["environment"].update(_environment_of_image())
            return config
    sys.exit(0)


def _environment_of_image() -> dict[str, str]:
    home = os.environ.get("HOME", "/")
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home if os.access(home, os.W_OK) else "/tmp"}


def _harden(memory_bytes: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        # RLIMIT_AS would forbid the address space that Go, Java and node reserve and never touch.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    # If the machine runs out of memory, commands go before the user's own programs.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        library = ctypes.CDLL(None)
        # Commands run as the same user, and must not reach into the supervisor's memory and descriptors.
        library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        # A daemon stays a descendant where the supervisor is not process 1.
        library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wake_on_child() -> int:
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _nothing(number: int, frame: FrameType | None) -> None:
    """Without a handler, no byte is written to the wake-up descriptor."""


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())
