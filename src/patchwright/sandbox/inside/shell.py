"""The stateful shell: a fresh bash for each command, and what one leaves to the next."""

from __future__ import annotations

import contextlib
import fcntl
import os
import string
import subprocess
from pathlib import Path

from patchwright.sandbox.inside.channel import Refused, write_all

_PIPE_BYTES = 1 << 20
_STATE_LIMIT_BYTES = 16 << 20
# Above what scripts choose for themselves (`exec 3>file`), below the usual limit of 1024.
_FIRST_DESCRIPTOR = 200
# Behind an engine on the same processors: its threads wait for one another, so that a test that never ends slows all of
# them down.
_NICENESS = 10

# Not carried over: what bash sets by itself, and options that make later commands fail or noisy (`set -euxv`).
_SKIPPED = (
    "__pw_*|_|BASH|BASHOPTS|BASHPID|BASH_*|COMP_*|DIRSTACK|EPOCH*|EUID|FUNCNAME|GROUPS|HISTCMD|LINENO|"
    "PIPESTATUS|PPID|PWD|RANDOM|SECONDS|SHELLOPTS|SHLVL|SRANDOM|UID"
)
# Two documents with a NUL after each: the directory, and a script that restores all the rest.
_SAVE = """
__pw_save() {
  [[ -n ${__pw_saved-} || $BASH_SUBSHELL != 0 ]] && return
  __pw_saved=1
  { builtin set +euxv; } 2>/dev/null
  {
    builtin printf '%s\\0' "$PWD"
    builtin shopt -p; builtin set +o; builtin umask -p; builtin alias -p
    for __pw_name in NAMES; do
      case $__pw_name in SKIPPED) ;; *) builtin declare -p -- "$__pw_name" ;; esac
    done
    builtin declare -f; builtin declare -F
    builtin printf '\\0'
  } 2>/dev/null >&"$__pw_descriptor"
}
""".replace("NAMES", " ".join(f'"${{!{first}@}}"' for first in f"_{string.ascii_letters}")).replace("SKIPPED", _SKIPPED)
# The command is read from a file, not an argument, which Linux limits to 128 KiB, and `pkill -f` would match.
# One line each: the command's own line numbers start at 1. The explicit save is for a trap of the user's on EXIT.
_FRESH = 'IFS= read -r -d "" -u %(command)d __pw_command; exec %(command)d<&-; eval "$__pw_command"'
_STATEFUL = (
    "{ . /dev/fd/%(state)d; __pw_descriptor=%(save)d; } >/dev/null 2>&1; exec %(state)d<&-; trap __pw_save EXIT; "
    + _FRESH
    + "; __pw_status=$?; __pw_save; exit $__pw_status"
)


class Child:
    """A command that runs, and the descriptors shared with it."""

    def __init__(self, process: subprocess.Popen[bytes], output: int, files: dict[str, int]) -> None:
        self._process = process
        self.pid = process.pid
        self.output: int | None = output
        self.files = files
        self.exit_code: int | None = None

    def ended(self, status: int) -> None:
        self.exit_code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        # Popen must not wait for a process that was reaped already.
        self._process.returncode = self.exit_code


class Shell:
    """Starts commands where the last one stopped."""

    def __init__(self, root: str, environment: dict[str, str]) -> None:
        self._root = root
        self._environment = environment
        self._bash = _bash(environment)
        self._state: bytes | None = None
        self.cwd = root

    def start(self, command: bytes, fresh: bool) -> tuple[Child, int]:
        """The command, and the descriptor of its output; Refused when there is no bash."""
        files = {"command": _anonymous_file(command + b"\0")}
        if not fresh:
            files["state"] = _anonymous_file((self._state or b"") + _SAVE.encode())
            files["save"] = _anonymous_file(b"")
        reader, writer = os.pipe()
        _enlarge(writer)
        try:
            process = self._spawn((_FRESH if fresh else _STATEFUL) % files, files, writer, fresh)
        except OSError as error:
            _close(reader, *files.values())
            raise Refused(f"cannot start {self._bash}: {(error.strerror or str(error)).lower()}") from error
        finally:
            _close(writer)
        _step_back(process.pid)
        return Child(process, reader, files), reader

    def finish(self, child: Child) -> None:
        """Take over the state that a command left, if it is whole: one that was killed leaves none."""
        document = _contents(child.files["save"]) if "save" in child.files else b""
        if document.count(b"\0") == 2 and document.endswith(b"\0"):
            cwd, self._state, _ = document.split(b"\0")
            self.cwd = os.fsdecode(cwd)
        _close(*child.files.values())

    def _spawn(self, script: str, files: dict[str, int], output: int, fresh: bool) -> subprocess.Popen[bytes]:
        cwd = self.cwd if not fresh and Path(self.cwd).is_dir() else self._root
        # A restored state replaces the first environment whole, so that what was unset stays unset.
        first = {} if self._state is not None and not fresh else self._environment
        return subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", script],
            executable=self._bash,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env={**first, "PWD": cwd},
            pass_fds=tuple(files.values()),
            start_new_session=True,
        )


def _bash(environment: dict[str, str]) -> str:
    found = (f"{directory}/bash" for directory in os.get_exec_path(environment))
    return next((path for path in found if os.access(path, os.X_OK)), "/bin/bash")


def _step_back(session: int) -> None:
    with contextlib.suppress(OSError):
        niceness = max(_NICENESS, os.getpriority(os.PRIO_PROCESS, session))
        os.setpriority(os.PRIO_PROCESS, session, niceness)
        # Where Linux shares the processors among sessions, it heeds theirs alone (sched(7), autogroup).
        Path(f"/proc/{session}/autogroup").write_text(str(niceness))


def _anonymous_file(data: bytes) -> int:
    """A descriptor out of the way of scripts, of a file in memory where possible: a full disk does no harm."""
    if hasattr(os, "memfd_create"):
        low = os.memfd_create("patchwright")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            low = os.dup(file.fileno())
    high = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
    _close(low)
    write_all(high, data)
    os.lseek(high, 0, os.SEEK_SET)
    return high


def _contents(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0) if size <= _STATE_LIMIT_BYTES else b""


def _enlarge(pipe: int) -> None:
    # Fewer switches for a command that prints a lot. Not on every system, nor always allowed.
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
