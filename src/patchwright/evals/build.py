"""A command that builds something: outside of the sandbox, with the network, its output in a log."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from patchwright.errors import BenchmarkError

_LAST_WORDS_LINES = 6
_LAST_WORDS_BYTES = 4000


class Build:
    """Runs commands in one directory, one after the other.

    `inherited_fds` stay open in them: a lock held through one of them lasts until the last process is gone, even when
    this process is killed before it. `variables` are their environment, by default this process's.
    """

    def __init__(
        self,
        directory: Path,
        log: Path,
        *,
        variables: Mapping[str, str] | None = None,
        inherited_fds: Collection[int] = (),
        timeout_s: float,
    ) -> None:
        self._directory = directory
        self._log = log
        self._variables = variables
        self._inherited_fds = tuple(inherited_fds)
        self._timeout_s = timeout_s

    async def run(self, command: Sequence[str], what: str) -> None:
        """A cancelled command is killed, with every process that it started.

        Raises BenchmarkError when it cannot be run, exits with anything but 0 or takes too long.
        """
        with self._log.open("ab") as log:
            log.write(f"$ {what}\n".encode())
            log.flush()
            code = await self._exit_code(command, log.fileno(), what)
        if code:
            raise BenchmarkError(f"{what} failed: {self._last_words()}", hint=f"all that it said is in {self._log}")

    async def _exit_code(self, command: Sequence[str], log: int, what: str) -> int | None:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self._directory,
            env=self._variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=self._inherited_fds,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                return await process.wait()
        except TimeoutError:
            raise BenchmarkError(
                f"{what} has taken more than {self._timeout_s:g} s", hint=f"all that it said is in {self._log}"
            ) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    def _last_words(self) -> str:
        said = self._log.read_bytes()[-_LAST_WORDS_BYTES:].decode("utf-8", "replace")
        return " | ".join(line.strip() for line in said.splitlines()[-_LAST_WORDS_LINES:] if line.strip())
