"""A supervisor's process as the host sees it: started, listened to at its death, ended."""

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Self

from patchwright.errors import SandboxError
from patchwright.sandbox.wire import Wire

_POLL_S = 0.005
_LAST_WORDS_BYTES = 65_536


class SupervisorProcess:
    """One launcher's process and the wire to the supervisor that it started."""

    def __init__(
        self, process: subprocess.Popen[bytes], wire: Wire, errors_fd: int, kill_command: Sequence[str]
    ) -> None:
        self._process = process
        self._errors_fd = errors_fd
        self._kill_command = kill_command
        self.wire = wire

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str] | None, kill_command: Sequence[str]
    ) -> Self:
        """Raises SandboxError when the executable cannot be run.

        The process is forked from the event loop's own thread: the kernel ties `--die-with-parent` to the
        thread that forked, and a sandbox lives no longer than the loop that it was opened in.
        """
        ours, theirs = socket.socketpair()
        errors_fd, errors_writer = os.pipe()
        try:
            process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=errors_writer,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            os.close(errors_fd)
            raise SandboxError(f"cannot run {command[0]}: {(error.strerror or str(error)).lower()}") from error
        finally:
            theirs.close()
            os.close(errors_writer)
        os.set_blocking(errors_fd, False)
        return cls(process, await Wire.over(ours), errors_fd, kill_command)

    async def end(self, grace_s: float) -> str:
        """Hang up, wait until the process has ended, kill it after the grace. Returns what it said on stderr."""
        self.wire.close()
        deadline = time.monotonic() + grace_s
        try:
            while self._process.poll() is None and time.monotonic() < deadline:
                await asyncio.sleep(_POLL_S)
        finally:
            if self._process.poll() is None:
                self._kill()
            words = self._last_words()
            os.close(self._errors_fd)
        return words

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._kill_command:
            # Best effort: the client may be what hangs.
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(self._kill_command, capture_output=True, timeout=10, check=False)

    def _last_words(self) -> str:
        try:
            return os.read(self._errors_fd, _LAST_WORDS_BYTES).decode("utf-8", "replace").strip()
        except BlockingIOError:
            return ""
