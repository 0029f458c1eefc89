"""A scaffold's own Python environment: made by uv once, whole or not at all, and found again."""

import asyncio
import contextlib
import hashlib
import os
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchwright.errors import BenchmarkError
from patchwright.evals.uv import index_exports, python_of, uv_program
from patchwright.lock import locked_within

BUILD_TIMEOUT_S = 3600.0
LAST_WORDS_CHARS = 600
_INSTALL = ("--quiet", "--compile-bytecode")
"""The sandbox shows the environment read-only: what is not compiled now is compiled anew in every attempt."""


@dataclass(frozen=True)
class Environment:
    """What is to be in it."""

    name: str
    python: str
    """Its version, "3.12"."""
    requirements: tuple[str, ...]

    async def made(self, directory: Path, variables: Mapping[str, str]) -> Path:
        """The environment below `directory`; made now, with uv, when it is not there.

        Raises BenchmarkError with uv's own words when it cannot be made.
        """
        directory.mkdir(parents=True, exist_ok=True)
        place = directory / f"{self.name}-{self._hash()}"
        busy = BenchmarkError(f"another process has been making {place} for {BUILD_TIMEOUT_S:.0f} s")
        async with locked_within(place.with_suffix(".lock"), BUILD_TIMEOUT_S, busy) as lock_fd:
            if not (place / "complete").exists():
                shutil.rmtree(place, ignore_errors=True)  # a virtual environment cannot be moved into its place
                await self._make(place, variables, lock_fd)
                (place / "complete").touch()
        return place

    async def _make(self, place: Path, variables: Mapping[str, str], lock_fd: int) -> None:
        uv = str(uv_program())
        await _run([uv, "venv", "--quiet", "--python", python_of(self.python), str(place)], variables, lock_fd)
        if self.requirements:
            install = [uv, "pip", "install", *_INSTALL, "--python", str(place / "bin" / "python"), *self.requirements]
            await _run(["bash", "-c", f"{index_exports()}\nexec {shlex.join(install)}"], variables, lock_fd)

    def _hash(self) -> str:
        return hashlib.sha256(repr((self.python, _INSTALL, self.requirements)).encode()).hexdigest()[:8]


def interpreter_home(environment: Path) -> Path:
    """The installation that the environment's Python belongs to: without it, nothing in there runs."""
    return (environment / "bin" / "python").resolve().parent.parent


async def _run(command: Sequence[str], variables: Mapping[str, str], lock_fd: int) -> None:
    """The lock lasts until the command is gone, even when this process is killed before it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(lock_fd,),
        start_new_session=True,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        words = said.decode("utf-8", "replace").strip()[-LAST_WORDS_CHARS:]
        raise BenchmarkError(f"uv cannot make the environment: {words}")
