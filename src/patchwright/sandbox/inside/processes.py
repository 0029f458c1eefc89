"""The sandbox's processes: who they are, how to end them, and the limits they are held to."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_KILL_ROUNDS = 100
_INTERVAL_S = 0.1
# Without a PID namespace the table is that of the whole machine: looking takes a twentieth of the time at most.
_INTERVAL_PER_LOOK = 20


class Process:
    """One row of the process table."""

    __slots__ = ("identity", "parent", "pid", "resident_bytes", "session")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.parent = int(fields[1])
        self.session = int(fields[3])
        # The kernel uses a number again some day, but not with the same start.
        self.identity = (pid, fields[19])
        self.resident_bytes = int(fields[21]) * resource.getpagesize()


class Processes:
    """All processes but this one: of the PID namespace where this is process 1, else its descendants."""

    def __init__(self) -> None:
        self._is_init = os.getpid() == 1

    def all(self) -> list[Process]:
        table = list(_table())
        return table if self._is_init else _descendants(table, os.getpid())

    def of_command(self, leader: int, known: Iterable[Process] = ()) -> list[Process]:
        """The leader's session, its descendants, and those of the ones already known to belong to the command.

        What `timeout` and `set -m` start leaves the leader's group, what `setsid` starts even its session.
        """
        table = list(_table())
        identities = {process.identity for process in known}
        members = [process for process in table if leader in (process.session, process.pid)]
        members += [process for process in table if process.identity in identities]
        for process in tuple(members):
            members += _descendants(table, process.pid)
        return list({process.pid: process for process in members}.values())

    def interrupt_command(self, leader: int) -> list[Process]:
        """Ask it to stop. Returns who was asked, since orphans cannot be told from daemons later."""
        found = self.of_command(leader)
        for process in found:
            _signal(process.pid, signal.SIGINT)
        return found

    def kill_command(self, leader: int, known: Iterable[Process] = ()) -> None:
        """Again and again, for what was forked while the table was read."""
        found = list(known)
        for _ in range(_KILL_ROUNDS):
            found = self.of_command(leader, found)
            if not found:
                return
            for process in found:
                _signal(process.pid, signal.SIGKILL)

    def kill_all(self) -> None:
        if self._is_init:
            # The kernel does it in one step: not even a fork bomb gets away.
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            return
        for _ in range(_KILL_ROUNDS):
            found = self.all()
            for process in found:
                _signal(process.pid, signal.SIGKILL)
            if not found:
                return


class Watchdog:
    """Memory and process limits, for where no control group enforces them."""

    def __init__(self, processes: Processes, memory_bytes: int | None, process_limit: int | None) -> None:
        self._processes = processes
        self._memory_bytes = memory_bytes
        self._process_limit = process_limit
        self._next_look = 0.0
        self._struck = False

    def check(self, leader: int | None) -> str | None:
        """Kill what is beyond a limit, and say so: the running command first, everything if that was not enough."""
        started = time.monotonic()
        if started < self._next_look or (self._memory_bytes is None and self._process_limit is None):
            return None
        present = self._processes.all()
        too_many = self._too_many(present)
        reason = too_many or self._too_large(present)
        if reason is None:
            self._struck = False
        elif leader is None or too_many or self._struck:
            self._processes.kill_all()
        else:
            self._struck = True
            self._processes.kill_command(leader)
        now = time.monotonic()
        self._next_look = now + max(_INTERVAL_S, _INTERVAL_PER_LOOK * (now - started))
        return reason and f"killed: {reason}"

    def _too_many(self, present: list[Process]) -> str | None:
        if self._process_limit is None or len(present) <= self._process_limit:
            return None
        return f"more than the {self._process_limit} processes allowed"

    def _too_large(self, present: list[Process]) -> str | None:
        if self._memory_bytes is None or sum(process.resident_bytes for process in present) <= self._memory_bytes:
            return None
        # Resident sizes count a page once for each process that shares it.
        if sum(map(_proportional_bytes, present)) <= self._memory_bytes:
            return None
        return f"more than the {self._memory_bytes / 2**20:.0f} MiB of memory allowed"


def reap() -> tuple[dict[int, int], bool]:
    """The wait statuses of the children that have ended, and whether others are left."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, False
        if pid == 0:
            return ended, True
        ended[pid] = status


def _table() -> Iterator[Process]:
    own = os.getpid()
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The second field, a name in parentheses, can hold anything.
            fields = (directory / "stat").read_bytes().rpartition(b") ")[2].split()
            # The dead whom nobody has waited for yet hold no memory and cannot be killed.
            if fields[0] not in (b"Z", b"X") and int(directory.name) != own:
                yield Process(int(directory.name), fields)


def _descendants(table: list[Process], ancestor: int) -> list[Process]:
    children: dict[int, list[Process]] = {}
    for process in table:
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    pending = [ancestor]
    while pending:
        below = children.pop(pending.pop(), [])
        found += below
        pending += [process.pid for process in below]
    return found


def _proportional_bytes(process: Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_bytes().splitlines()
    except OSError:
        return process.resident_bytes
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Pss:")]
    return sizes[0] if sizes else process.resident_bytes


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
