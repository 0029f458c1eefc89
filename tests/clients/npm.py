"""A client's own directory of npm packages: made by npm once, whole or not at all, and found again."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from patchwright.errors import BenchmarkError

LAST_WORDS_CHARS = 600


@dataclass(frozen=True)
class NpmPackage:
    """What is to be in it: a package of the npm registry, with its version."""

    name: str
    version: str

    async def made(self, directory: Path, variables: Mapping[str, str]) -> Path:
        """The directory's place. Raises BenchmarkError with npm's own words when it cannot be made."""
        place = directory / f"{self.name.replace('/', '-').removeprefix('@')}-{self.version}"
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            await self._install(place, variables)
            (place / "complete").touch()
        return place

    async def _install(self, place: Path, variables: Mapping[str, str]) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise BenchmarkError("npm is not installed")
        process = await asyncio.create_subprocess_exec(
            *(npm, "install", "--no-audit", "--no-fund", "--prefix", str(place), f"{self.name}@{self.version}"),
            env=dict(variables),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode:
            words = said.decode("utf-8", "replace").strip()[-LAST_WORDS_CHARS:]
            raise BenchmarkError(f"npm cannot install {self.name}: {words}")
