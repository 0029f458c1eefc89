"""What the engines that are programs of their own have in common: settings, and how one is found or started."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import Field

from patchwright.engines.installation import Installation
from patchwright.engines.launch import GB, ServedLaunch
from patchwright.engines.llama_cpp_settings import CONTEXT_TOKENS, MEMORY_SHARE
from patchwright.engines.recipe import Recipe
from patchwright.engines.stamp import stamps
from patchwright.engines.starting import brought_up, engine_id
from patchwright.engines.state import EngineFiles
from patchwright.errors import EngineError, ModelError
from patchwright.models.memory import machine_memory_bytes
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.record import Record

GIB = 1 << 30

_SHARED = {"idle_s", "start_timeout_s"}
"""Callers that differ in these share an engine."""


class ServedSettings(Record):
    """What a user can say about any of them."""

    idle_s: float = Field(default=900, gt=0)
    """Seconds without a request after which the engine ends and gives its memory back."""

    start_timeout_s: float = Field(default=900, gt=0)
    """Seconds that loading the model may take."""


S = TypeVar("S", bound=ServedSettings)
W = TypeVar("W")


class ServedEngine(ABC, Generic[S, W]):
    """One engine for each model and settings. `W`: what is read of the weights before it starts."""

    name: str

    def __init__(self, model: Path, settings: S, state_dir: Path, installation: Installation, model_name: str) -> None:
        self.path = model.absolute()
        self.settings = settings
        self.model_name = model_name
        self._state_dir = state_dir
        self._installation = installation

    async def connect(self) -> Endpoint:
        """The endpoint of the running engine, or of one that is started now.

        Raises EngineError when it is not installed, cannot run the model, or is not ready in time.
        """
        installed = self._installation.installed()
        try:
            weights = self.read()
        except ModelError as error:
            raise EngineError(str(error), hint=error.hint) from error
        settings = self.settings.model_dump_json(exclude=_SHARED)
        identifier = engine_id(self.model_name, self.name, *stamps(self.path), settings, installed.packages)
        return await brought_up(
            identifier,
            self._state_dir,
            lambda files: self._checked(self.launch(files, weights, installed), installed),
            self.settings.start_timeout_s,
        )

    @abstractmethod
    def read(self) -> W:
        """Raises ModelError, or EngineError for weights that the engine cannot run."""

    @abstractmethod
    def launch(self, files: EngineFiles, weights: W, installed: Recipe) -> ServedLaunch:
        """Raises EngineError for settings that do not suit the model."""

    def _checked(self, launch: ServedLaunch, installed: Recipe) -> ServedLaunch:
        """A GPU's memory is another, which the engine looks at itself."""
        if installed.device == "cpu":
            check_memory(self.model_name, launch.planned_bytes, machine_memory_bytes())
        return launch

    def program(self, installed: Recipe) -> str:
        return str(self._installation.program(installed.program))


def check_memory(model: str, planned_bytes: int, memory_bytes: int) -> None:
    """Raises EngineError for what the machine would be killed by, or swap for ever."""
    budget_bytes = int(memory_bytes * MEMORY_SHARE)
    if planned_bytes > budget_bytes:
        raise EngineError(
            f"{model} needs {planned_bytes / GB:.1f} GB of memory; of this machine's {memory_bytes / GB:.1f} GB an "
            f"engine may take {budget_bytes / GB:.1f}",
            hint="take a smaller model, a shorter context, or a quantised file with `--engine llama.cpp`",
        )


def window(models: int, wanted: int | None) -> int:
    """In tokens, of a model with a window of so many. Raises EngineError when it is longer than the model's."""
    if wanted and wanted > models:
        raise EngineError(
            f"the model has a window of {models} tokens, not {wanted}",
            hint="name a shorter context, or none: then it is chosen",
        )
    return wanted or min(models, CONTEXT_TOKENS)
