"""An engine's own environment: a virtual environment under the data directory, made with pip."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from patchwright.engines.base import InstalledName
from patchwright.engines.recipe import Recipe
from patchwright.errors import EngineError
from patchwright.lock import locked_within

INSTALL_TIMEOUT_S = 3600
"""To wait for somebody else who installs the same; vLLM with CUDA is some ten gigabytes."""

OnStep = Callable[[str], None]


class Installation:
    """The environment of one engine in the directory `root`, there when its receipt is.

    pip and not a faster installer: it is there with Python, and knows the user's indexes, proxies and certificates.
    """

    def __init__(self, root: Path, engine: InstalledName) -> None:
        self.engine: InstalledName = engine
        self.directory = root.absolute() / engine
        self.log = root.absolute() / f"{engine}.install.log"
        self._receipt = self.directory / "installed.json"
        self._lock = root.absolute() / f"{engine}.lock"

    def recipe(self) -> Recipe | None:
        """What is installed, None when nothing is, or not as a whole."""
        try:
            return Recipe.model_validate_json(self._receipt.read_bytes())
        except (OSError, ValidationError):
            return None

    def installed(self) -> Recipe:
        """Raises EngineError when it is not."""
        if found := self.recipe():
            return found
        raise EngineError(f"{self.engine} is not installed", hint=f"`patchwright engine install {self.engine}`")

    def program(self, name: str) -> Path:
        return self.directory / "bin" / name

    async def install(self, recipe: Recipe, torch_index: str, on_step: OnStep) -> None:
        """Makes the environment anew, unless it is as the recipe says. Raises EngineError; the log tells more."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        busy = EngineError(f"another process has been installing {self.engine} for {INSTALL_TIMEOUT_S:.0f} s")
        async with locked_within(self._lock, INSTALL_TIMEOUT_S, busy):
            if self.recipe() == recipe:
                return
            with self.log.open("w", encoding="utf-8") as log:
                self._make(recipe, torch_index, on_step, log)
            self._receipt.write_text(recipe.model_dump_json(indent=2), encoding="utf-8")

    def _make(self, recipe: Recipe, torch_index: str, on_step: OnStep, log: IO[str]) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        on_step("making an environment")
        self._run([sys.executable, "-m", "venv", str(self.directory)], log)
        first = (recipe.torch,) if recipe.torch else ()
        if first:
            on_step(f"installing {recipe.torch}")
            if self._pip(log, "install", *first) and self._pip(log, "install", *first, "--index-url", torch_index):
                raise self._failed(f"{recipe.torch} is not to be had", "--torch-index names another index")
        on_step(f"installing {', '.join((*recipe.packages, *recipe.bare))}")
        if self._pip(log, "install", *first, *recipe.packages):
            raise self._failed("pip failed")
        if recipe.bare and self._pip(log, "install", "--no-deps", *recipe.bare):
            raise self._failed("pip failed")
        if recipe.unwanted:
            self._pip(log, "uninstall", "--yes", *recipe.unwanted)
        if recipe.alias:
            self._add_alias(*recipe.alias)

    def _pip(self, log: IO[str], *arguments: str) -> int:
        command = [str(self.program("python")), "-m", "pip", *arguments, "--disable-pip-version-check"]
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode

    def _run(self, command: list[str], log: IO[str]) -> None:
        if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode:
            raise self._failed("no environment can be made", "on Debian and Ubuntu: `apt install python3-venv`")

    def _failed(self, reason: str, hint: str | None = None) -> EngineError:
        said = f"{self.log} shows what pip said"
        return EngineError(f"{self.engine} cannot be installed: {reason}", hint=f"{hint}; {said}" if hint else said)

    def _add_alias(self, name: str, version: str) -> None:
        """The least that importlib.metadata finds a distribution by."""
        (packages,) = self.directory.glob("lib/python*/site-packages")
        metadata = packages / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(exist_ok=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
