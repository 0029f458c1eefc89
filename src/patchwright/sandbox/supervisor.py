"""The supervisor: the process inside a sandbox that runs commands and touches files for the host.

It is alone inside: standard library only, any Python from 3.8, run with `-I -S`, its source sent over stdin.
After the source come frames, both ways: two big-endian 32-bit sizes, a JSON object, raw bytes. The first
frame configures; each later one is a request, answered by one frame with the same `id`. One request runs
at a time; `cancel` alone is heard meanwhile. In a PID namespace it is process 1, which no command can kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
from typing import Any, Iterator

_HEADER = struct.Struct(">II")
_CHUNK_BYTES = 1 << 20
_STATE_LIMIT_BYTES = 16 << 20
# Above what scripts choose for themselves (`exec 3>file`), below the usual limit of 1024.
_FIRST_FD = 200
_WATCH_INTERVAL_S = 0.1
_IDLE_WATCH_INTERVAL_S = 0.5
# Process substitutions may still be writing when bash is gone; a daemon must not hold the command longer.
_LATE_OUTPUT_S = 0.05
_KILL_ROUNDS = 100

# bash restores the state, reads the command and runs it; the trap saves the state however it ends. One line:
# the command's own line numbers start at 1. What makes a later command fail or noisy (errexit, nounset,
# xtrace, verbose) is not carried over, nor what bash sets itself.
_NAMES = " ".join('"${!%s@}"' % first for first in "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OWN = (
    "__pw_*|_|BASH|BASHOPTS|BASHPID|BASH_*|COMP_*|DIRSTACK|EPOCH*|EUID|FUNCNAME|GROUPS|HISTCMD|LINENO|"
    "PIPESTATUS|PPID|PWD|RANDOM|SECONDS|SHELLOPTS|SHLVL|SRANDOM|UID"
)
_SAVE = (
    "__pw_save() { [[ -n ${__pw_saved-} || $BASH_SUBSHELL != 0 ]] && return; __pw_saved=1; "
    "{ builtin set +euxv; } 2>/dev/null; "
    "{ builtin printf '%%s\\0' \"$PWD\"; builtin shopt -p; builtin set +o; builtin umask -p; builtin alias -p; "
    "for __pw_name in " + _NAMES + "; do case $__pw_name in " + _OWN + ") ;; "
    '*) builtin declare -p -- "$__pw_name" ;; esac; done; '
    "builtin declare -f; builtin declare -F; builtin printf '\\0'; } >&%(save)d 2>/dev/null; }; "
)
_STATEFUL = (
    "{ . /dev/fd/%(state)d; } >/dev/null 2>&1; exec %(state)d<&-; "
    + _SAVE
    + "IFS= read -r -d '' -u %(command)d __pw_command; exec %(command)d<&-; trap __pw_save EXIT; "
    'eval "$__pw_command"; __pw_status=$?; __pw_save; exit $__pw_status'
)
_FRESH = "IFS= read -r -d '' -u %(command)d __pw_command; exec %(command)d<&-; eval \"$__pw_command\""


class Refused(Exception):
    """A request that cannot be carried out; the reason is for the user."""


class Channel:
    """Frames to and from the host."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self.closed = False

    def receive(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The frames that are complete after one read."""
        chunk = os.read(self.reader, _CHUNK_BYTES)
        self.closed = not chunk
        self._buffer += chunk
        while len(self._buffer) >= _HEADER.size:
            head_size, body_size = _HEADER.unpack_from(self._buffer)
            head_end = _HEADER.size + head_size
            if len(self._buffer) < head_end + body_size:
                return
            head = json.loads(bytes(self._buffer[_HEADER.size : head_end]))
            body = bytes(self._buffer[head_end : head_end + body_size])
            del self._buffer[: head_end + body_size]
            yield head, body

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        data = json.dumps(head).encode()
        try:
            _write_all(self._writer, _HEADER.pack(len(data), len(body)) + data + body)
        except BrokenPipeError:
            self.closed = True


class Output:
    """The first and the last bytes of what a command prints, half and half."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_limit = (limit_bytes + 1) // 2
        self._tail_limit = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.omitted_bytes = 0

    def add(self, chunk: bytes) -> None:
        room = self._head_limit - len(self._head)
        self._head += chunk[:room]
        rest = memoryview(chunk)[room:] if room < len(chunk) else memoryview(b"")
        self._tail += rest[-self._tail_limit :] if self._tail_limit else b""
        excess = max(0, len(self._tail) - self._tail_limit)
        del self._tail[:excess]
        self.omitted_bytes += excess + max(0, len(rest) - self._tail_limit)

    def note(self, text: str) -> None:
        """A word of the sandbox's own, beyond the limit."""
        self._tail += f"\n[sandbox: {text}]\n".encode()

    def halves(self) -> tuple[bytes, bytes]:
        return bytes(self._head), bytes(self._tail)


class Process:
    """One row of the process table."""

    __slots__ = ("parent", "pid", "resident_bytes", "session")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.resident_bytes = int(fields[21]) * resource.getpagesize()


class Processes:
    """All processes of this sandbox but the supervisor: the PID namespace's, or its own descendants."""

    def __init__(self) -> None:
        self._is_init = os.getpid() == 1

    def all(self) -> list[Process]:
        table = list(_process_table())
        return table if self._is_init else _descendants(table, os.getpid())

    def of_command(self, leader: int) -> list[Process]:
        """The leader's session and its descendants: `timeout` and `set -m` leave the group, not the session."""
        table = list(_process_table())
        found = {process.pid: process for process in _descendants(table, leader)}
        found.update((process.pid, process) for process in table if leader in (process.session, process.pid))
        return list(found.values())

    def signal_command(self, leader: int, number: int) -> None:
        for process in self.of_command(leader):
            _kill(process.pid, number)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)

    def kill_command(self, leader: int) -> None:
        """Once more for what was forked while the table was read."""
        for _ in range(_KILL_ROUNDS):
            self.signal_command(leader, signal.SIGKILL)
            if all(process.pid == leader for process in self.of_command(leader)):
                return

    def kill_all(self) -> None:
        if self._is_init:
            # The kernel does it in one step, so that not even a fork bomb gets away.
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            return
        for _ in range(_KILL_ROUNDS):
            remaining = self.all()
            for process in remaining:
                _kill(process.pid, signal.SIGKILL)
            if not remaining:
                return
            _reap()


class Watchdog:
    """Memory and process limits, for where no control group enforces them."""

    def __init__(self, processes: Processes, memory_bytes: int | None, process_limit: int | None) -> None:
        self._processes = processes
        self._memory_bytes = memory_bytes
        self._process_limit = process_limit
        self._next = 0.0
        self._struck = False

    def check(self, leader: int | None) -> str | None:
        """Kill what is beyond the limits, and say so. The command goes first, then everything."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + _WATCH_INTERVAL_S
        present = self._processes.all()
        reason = self._too_many(present) or self._too_large(present)
        if reason is None:
            self._struck = False
            return None
        if leader is None or self._struck or self._too_many(present):
            self._processes.kill_all()
        else:
            self._processes.kill_command(leader)
        self._struck = True
        return f"killed: {reason}"

    def _too_many(self, present: list[Process]) -> str | None:
        if self._process_limit is None or len(present) <= self._process_limit:
            return None
        return f"more than the {self._process_limit} processes allowed"

    def _too_large(self, present: list[Process]) -> str | None:
        if self._memory_bytes is None or sum(process.resident_bytes for process in present) <= self._memory_bytes:
            return None
        # Resident sizes count pages that processes share once for each of them.
        if sum(_proportional_bytes(process) for process in present) <= self._memory_bytes:
            return None
        return f"more than the {self._memory_bytes / 2**20:.0f} MiB of memory allowed"


class Shell:
    """What carries over from one command to the next, and how a command is started."""

    def __init__(self, root: str, environment: dict[str, str]) -> None:
        self._root = root
        self._environment = environment
        self._bash = shutil.which("bash", path=environment.get("PATH")) or "/bin/bash"
        self._state: bytes | None = None
        self.cwd = root

    def start(self, command: bytes, fresh: bool) -> Child:
        cwd = self._root if fresh or not os.path.isdir(self.cwd) else self.cwd
        stateful = not fresh
        # An inherited state replaces the first environment whole, so that what was unset stays unset.
        environment = {} if stateful and self._state is not None else dict(self._environment)
        environment["PWD"] = cwd
        files = {"command": _inheritable_file(command + b"\0")}
        if stateful:
            files.update(state=_inheritable_file(self._state or b""), save=_inheritable_file(b""))
        script = (_STATEFUL if stateful else _FRESH) % files
        reader, writer = os.pipe()
        try:
            _enlarge(writer)
            process = subprocess.Popen(
                [self._bash, "--norc", "--noprofile", "-c", script],
                executable=self._bash,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                cwd=cwd,
                env=environment,
                pass_fds=tuple(files.values()),
                start_new_session=True,
            )
        except OSError as error:
            os.close(reader)
            _close(files)
            raise Refused(f"cannot start {self._bash}: {error.strerror}") from error
        finally:
            os.close(writer)
        os.close(files.pop("command"))
        return Child(process, reader, files.get("state"), files.get("save"))

    def adopt(self, child: Child) -> None:
        """Take over the state that a command left, if it is whole."""
        if child.save_fd is None:
            return
        document = _read_file(child.save_fd)
        if document.count(b"\0") != 2 or not document.endswith(b"\0"):
            return
        cwd, self._state, _ = document.split(b"\0")
        self.cwd = os.fsdecode(cwd)


class Child:
    """A command that runs, and the files it shares with the supervisor."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: int, state_fd: int | None, save_fd: int | None
    ) -> None:
        self._process = process
        self.pid = process.pid
        self.reader: int | None = reader
        self._state_fd = state_fd
        self.save_fd = save_fd
        self.exit_code: int | None = None

    def ended(self, status: int) -> None:
        self.exit_code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        # Popen must not wait for a process that was reaped already.
        self._process.returncode = self.exit_code

    def close(self) -> None:
        for descriptor in (self._state_fd, self.save_fd):
            if descriptor is not None:
                os.close(descriptor)


class Files:
    """File methods, held to what the configuration allows to read and to write."""

    def __init__(self, root: str, readable: list[str] | None) -> None:
        self._root = os.path.realpath(root)
        self._writable = [self._root, os.path.realpath("/tmp")]
        self._readable = None if readable is None else [*self._writable, *map(os.path.realpath, readable)]

    def read(self, path: str, limit_bytes: int) -> bytes:
        target = self._followed(path)
        self._check_readable(target)
        _check_regular(os.stat(target))
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            _check_regular(status)
            data = _read_up_to(file, limit_bytes + 1)
        if len(data) > limit_bytes:
            size = max(status.st_size, len(data))
            raise Refused(f"has {size} bytes, more than the {limit_bytes} that may be read at once")
        return data

    def write(self, path: str, data: bytes) -> None:
        target = self._followed(path)
        self._check_writable(target)
        mode = self._mode_to_keep(target)
        parent, name = os.path.split(target)
        os.makedirs(parent, exist_ok=True)
        # Its name is short, so that it fits wherever the file's own does.
        descriptor, temporary = tempfile.mkstemp(prefix=".patchwright-", dir=parent)
        try:
            with open(descriptor, "wb", buffering=0):
                _write_all(descriptor, data)
                os.fchmod(descriptor, mode)
            os.replace(temporary, os.path.join(parent, name))
        except BaseException:
            os.unlink(temporary)
            raise

    def remove(self, path: str) -> None:
        target = self._place(path)
        self._check_writable(target)
        if stat.S_ISDIR(os.lstat(target).st_mode):
            raise Refused("is a directory")
        os.unlink(target)

    def info(self, path: str) -> dict[str, Any] | None:
        target = self._place(path)
        self._check_readable(target)
        try:
            return _described(target, os.lstat(target))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, path: str, depth: int, limit: int) -> list[dict[str, Any]]:
        target = self._followed(path)
        self._check_readable(target)
        found: list[dict[str, Any]] = []
        _walk(target, depth, limit, found)
        return found

    def _followed(self, path: str) -> str:
        return os.path.realpath(os.path.join(self._root, path))

    def _place(self, path: str) -> str:
        """The path with symlinks followed in its parents only."""
        parent, name = os.path.split(os.path.join(self._root, path))
        return self._followed(path) if name in ("", ".", "..") else os.path.join(os.path.realpath(parent), name)

    def _check_readable(self, target: str) -> None:
        if self._readable is not None and not any(_is_below(target, place) for place in self._readable):
            raise Refused("outside the sandbox")

    def _check_writable(self, target: str) -> None:
        if not any(_is_below(target, place) for place in self._writable) or target in self._writable:
            raise Refused("outside the work tree, which alone may be changed (with /tmp)")
        if _is_below(target, self._root) and ".git" in os.path.relpath(target, self._root).split(os.sep):
            raise Refused("part of the git directory, which is read-only")

    @staticmethod
    def _mode_to_keep(target: str) -> int:
        try:
            status = os.stat(target)
        except FileNotFoundError:
            return 0o666 & ~_umask()
        _check_regular(status)
        # The rename would replace even a file that its owner has protected.
        if not os.access(target, os.W_OK):
            raise Refused("permission denied")
        return stat.S_IMODE(status.st_mode)


class Supervisor:
    """Answers requests, one at a time, and looks after every process meanwhile."""

    def __init__(self, channel: Channel, config: dict[str, Any]) -> None:
        self._channel = channel
        self._processes = Processes()
        self._watchdog = Watchdog(self._processes, config["memory_bytes"], config["processes"])
        self._shell = Shell(config["root"], config["environment"])
        self._files = Files(config["root"], config["readable"])
        self._grace_s: float = config["interrupt_grace_s"]
        self._root: str = config["root"]
        self._requests: list[tuple[dict[str, Any], bytes]] = []
        self._cancelled: set[int] = set()
        self._child: Child | None = None
        self._output: Output | None = None
        self._leftover: list[int] = []
        self._notes: list[str] = []
        self._has_children = False
        self._wake = _wake_on_child()
        self._poll = select.poll()
        for descriptor in (channel.reader, self._wake):
            self._poll.register(descriptor, select.POLLIN)

    def serve(self) -> None:
        """Until the host hangs up; then nothing of the sandbox stays behind."""
        writable = os.access(self._root, os.W_OK | os.X_OK)
        self._channel.send({"id": 0, "writable": writable, "python": sys.version.split()[0]})
        while not self._channel.closed:
            self._turn(_IDLE_WATCH_INTERVAL_S if self._has_children else None)
            self._watch_background()
            while self._requests and not self._channel.closed:
                head, body = self._requests.pop(0)
                self._answer(head, body)
        self._processes.kill_all()

    def _answer(self, head: dict[str, Any], body: bytes) -> None:
        try:
            answer, data = self._perform(head, body)
        except Refused as error:
            answer, data = {"error": str(error)}, b""
        except OSError as error:
            answer, data = {"error": _reason(error)}, b""
        except ValueError as error:
            answer, data = {"error": str(error)}, b""
        if not self._channel.closed:
            self._channel.send({"id": head["id"], **answer}, data)
        self._cancelled.discard(head["id"])

    def _perform(self, head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        operation = head["op"]
        if operation == "run":
            return self._run(head, body)
        if operation == "read":
            return {}, self._files.read(head["path"], head["limit_bytes"])
        if operation == "write":
            self._files.write(head["path"], body)
            return {}, b""
        if operation == "remove":
            self._files.remove(head["path"])
            return {}, b""
        if operation == "info":
            return {"info": self._files.info(head["path"])}, b""
        return {"entries": self._files.list(head["path"], head["depth"], head["limit"])}, b""

    def _run(self, head: dict[str, Any], command: bytes) -> tuple[dict[str, Any], bytes]:
        started = time.monotonic()
        output = self._output = Output(head["output_limit_bytes"])
        child = self._child = self._shell.start(command, head["fresh"])
        self._poll.register(_descriptor(child), select.POLLIN)
        timed_out = self._see_through(child, head["id"], started + head["timeout_s"])
        self._drain(child)
        self._child = self._output = None
        self._shell.adopt(child)
        child.close()
        for note in self._notes:
            output.note(note)
        self._notes.clear()
        first, last = output.halves()
        answer = {
            "exit_code": child.exit_code,
            "duration_s": time.monotonic() - started,
            "timed_out": timed_out,
            "omitted_bytes": output.omitted_bytes,
            "head_bytes": len(first),
            "cwd": _shown(self._root if head["fresh"] else self._shell.cwd),
        }
        return answer, first + last

    def _see_through(self, child: Child, request: int, deadline: float) -> bool:
        """Until the command has ended: by itself, by a limit, on SIGINT, or killed. True when it ran out of time."""
        kill_at = deadline + self._grace_s
        interrupted = False
        while child.exit_code is None:
            now = time.monotonic()
            if request in self._cancelled or self._channel.closed or now >= kill_at:
                self._processes.kill_command(child.pid)
                kill_at = now + self._grace_s
            elif now >= deadline and not interrupted:
                interrupted = True
                self._processes.signal_command(child.pid, signal.SIGINT)
            self._note(self._watchdog.check(child.pid))
            if child.exit_code is None:
                until = kill_at if interrupted else deadline
                self._turn(min(_WATCH_INTERVAL_S, max(0.0, until - time.monotonic())))
        if interrupted:
            # What ignored SIGINT in the background belongs to the command that ran out of time.
            self._processes.kill_command(child.pid)
        return interrupted

    def _drain(self, child: Child) -> None:
        """Take what is in the pipe; whoever still holds it may go on writing, but into the void."""
        until = time.monotonic() + _LATE_OUTPUT_S
        while child.reader is not None and time.monotonic() < until:
            self._turn(until - time.monotonic())
        if child.reader is not None:
            self._take(child, _unread_bytes(child.reader))
        if child.reader is not None:
            self._leftover.append(child.reader)

    def _turn(self, timeout_s: float | None) -> None:
        """Wait for something to happen, and deal with it."""
        ready = self._poll.poll(None if timeout_s is None else timeout_s * 1000)
        descriptors = {descriptor for descriptor, _ in ready}
        if self._wake in descriptors:
            os.read(self._wake, _CHUNK_BYTES)
        if self._channel.reader in descriptors:
            self._receive()
        if self._child is not None and self._child.reader in descriptors:
            self._take(self._child, _CHUNK_BYTES)
        for descriptor in descriptors.intersection(self._leftover):
            if not os.read(descriptor, _CHUNK_BYTES):
                self._forget(descriptor)
                self._leftover.remove(descriptor)
        self._reap()

    def _receive(self) -> None:
        for head, body in self._channel.receive():
            if head["op"] == "cancel":
                self._cancelled.add(head["target"])
            else:
                self._requests.append((head, body))

    def _take(self, child: Child, size: int) -> None:
        chunk = os.read(_descriptor(child), size) if size else b""
        if chunk and self._output is not None:
            self._output.add(chunk)
        elif size:
            self._forget(_descriptor(child))
            child.reader = None

    def _forget(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)

    def _reap(self) -> None:
        ended, self._has_children = _reap()
        if self._child is not None and self._child.pid in ended:
            self._child.ended(ended[self._child.pid])

    def _watch_background(self) -> None:
        if self._has_children:
            self._note(self._watchdog.check(None))

    def _note(self, text: str | None) -> None:
        if text is not None and text not in self._notes:
            self._notes.append(text)


def main() -> None:
    # Two descriptors, since Docker gives two pipes where the other launchers give one socket.
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    config = _configuration(channel)
    _harden(config["memory_bytes"])
    os.chdir(config["root"])
    Supervisor(channel, config).serve()


def _configuration(channel: Channel) -> dict[str, Any]:
    while not channel.closed:
        for head, _ in channel.receive():
            if head["path_from_image"]:
                head["environment"].update(_environment_of_image())
            return head
    sys.exit(0)


def _environment_of_image() -> dict[str, str]:
    home = os.environ.get("HOME", "/")
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": home if os.access(home, os.W_OK) else "/tmp"}


def _harden(memory_bytes: int | None) -> None:
    for name, limit in (("RLIMIT_CORE", 0), ("RLIMIT_DATA", memory_bytes)):
        if limit is not None:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), (limit, limit))
    # If the machine runs out of memory, commands go before the user's own programs.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        library = ctypes.CDLL(None)
        # PR_SET_DUMPABLE 0: commands run as the same user, and must not reach into the supervisor.
        library.prctl(4, 0, 0, 0, 0)
        # PR_SET_CHILD_SUBREAPER: a daemon stays a descendant, wherever the supervisor is not process 1.
        library.prctl(36, 1, 0, 0, 0)


def _wake_on_child() -> int:
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _reap() -> tuple[dict[int, int], bool]:
    """The children that have ended, with their status, and whether others are left."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, False
        if pid == 0:
            return ended, True
        ended[pid] = status


def _process_table() -> Iterator[Process]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    own = str(os.getpid())
    for name in names:
        if not name.isdigit() or name == own:
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb", buffering=0) as file:
            fields = file.read(4096).rpartition(b") ")[2].split()
            # The dead that nobody has waited for yet hold no memory and cannot be killed.
            if len(fields) > 21 and fields[0] not in (b"Z", b"X"):
                yield Process(int(name), fields)


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
        with open(f"/proc/{process.pid}/smaps_rollup", "rb") as file:
            lines = [line for line in file if line.startswith(b"Pss:")]
    except OSError:
        return process.resident_bytes
    return int(lines[0].split()[1]) * 1024 if lines else process.resident_bytes


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _inheritable_file(data: bytes) -> int:
    """An anonymous file at a high descriptor: in memory where possible, so that a full disk does no harm."""
    if hasattr(os, "memfd_create"):
        low = os.memfd_create("patchwright")
    else:
        with tempfile.TemporaryFile() as file:
            low = os.dup(file.fileno())
    high = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
    os.close(low)
    _write_all(high, data)
    os.lseek(high, 0, os.SEEK_SET)
    return high


def _read_file(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    if not 0 < size <= _STATE_LIMIT_BYTES:
        return b""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(os.dup(descriptor), "rb") as file:
        return file.read(size)


def _read_up_to(file: Any, size: int) -> bytes:
    """Pieces, not one buffer of the size that may be read."""
    pieces: list[bytes] = []
    while size > 0:
        piece = file.read(min(size, _CHUNK_BYTES))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _close(files: dict[str, int]) -> None:
    for descriptor in files.values():
        os.close(descriptor)


def _descriptor(child: Child) -> int:
    if child.reader is None:
        raise ValueError("the pipe is closed")
    return child.reader


def _enlarge(pipe: int) -> None:
    # Fewer switches between a command that prints a lot and the supervisor. Not on every system, nor always allowed.
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)
    os.set_inheritable(pipe, False)


def _unread_bytes(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, struct.pack("i", 0))
    return struct.unpack("i", answer)[0]


def _walk(directory: str, depth: int, limit: int, found: list[dict[str, Any]]) -> None:
    for name in sorted(name for name in os.listdir(directory) if not name.startswith(".")):
        if len(found) >= limit:
            return
        path = os.path.join(directory, name)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        found.append(_described(path, status))
        if depth > 1 and stat.S_ISDIR(status.st_mode):
            # A directory that may not be entered is still an entry.
            with contextlib.suppress(PermissionError, FileNotFoundError):
                _walk(path, depth - 1, limit, found)


def _described(path: str, status: os.stat_result) -> dict[str, Any]:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    return {
        "path": _shown(path),
        "kind": kinds.get(stat.S_IFMT(status.st_mode), "other"),
        "size_bytes": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
    }


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Refused("is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise Refused("not a regular file")


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


def _reason(error: OSError) -> str:
    reasons = {
        FileNotFoundError: "not found",
        PermissionError: "permission denied",
        IsADirectoryError: "is a directory",
    }
    return reasons.get(type(error), (error.strerror or str(error)).lower())


if __name__ == "__main__":
    main()
