"""A scaffold's own Python environment: made by uv once, whole or not at all, and found again."""

import hashlib
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from patchwright.errors import BenchmarkError
from patchwright.evals.build import Build
from patchwright.evals.uv import index_exports, python_of, uv_program
from patchwright.lock import locked_within

BUILD_TIMEOUT_S = 3600.0
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
                log = place.with_suffix(".log")
                log.unlink(missing_ok=True)
                fds = (lock_fd,)
                build = Build(directory, log, variables=variables, inherited_fds=fds, timeout_s=BUILD_TIMEOUT_S)
                await self._make(place, build)
                (place / "complete").touch()
        return place

    async def _make(self, place: Path, build: Build) -> None:
        uv, what = str(uv_program()), f"making the environment of {self.name}"
        await build.run([uv, "venv", "--quiet", "--python", python_of(self.python), str(place)], what)
        if self.requirements:
            install = [uv, "pip", "install", *_INSTALL, "--python", str(place / "bin" / "python"), *self.requirements]
            await build.run(["bash", "-c", f"{index_exports()}\nexec {shlex.join(install)}"], what)

    def _hash(self) -> str:
        return hashlib.sha256(repr((self.python, _INSTALL, self.requirements)).encode()).hexdigest()[:8]


def interpreter_home(environment: Path) -> Path:
    """The installation that the environment's Python belongs to: without it, nothing in there runs."""
    return (environment / "bin" / "python").resolve().parent.parent
