"""`transformers serve`: every architecture that Hugging Face's library knows, one request at a time."""

import secrets
from pathlib import Path

from pydantic import Field, SecretStr

from patchwright.engines.installation import Installation
from patchwright.engines.launch import ServedLaunch
from patchwright.engines.machine import usable_cores
from patchwright.engines.recipe import Recipe
from patchwright.engines.starting import brought_up, engine_id
from patchwright.engines.state import EngineFiles
from patchwright.engines.weights import Weights, read_weights
from patchwright.errors import EngineError, ModelError
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.record import Record


class TransformersSettings(Record):
    """What a user can say about `transformers serve`."""

    idle_s: float = Field(default=900, gt=0)
    """Seconds without a request after which the engine ends and gives its memory back."""

    start_timeout_s: float = Field(default=900, gt=0)
    """Seconds that loading the model may take."""


class Transformers:
    """A directory of weights in Hugging Face's format, served by transformers."""

    name = "transformers"

    def __init__(
        self, model: Path, settings: TransformersSettings, state_dir: Path, installation: Installation, model_name: str
    ) -> None:
        self._path = model.absolute()
        self._settings = settings
        self._state_dir = state_dir
        self._installation = installation
        self._model_name = model_name

    async def connect(self) -> Endpoint:
        """The endpoint of the running engine, or of one that is started now.

        Raises EngineError when transformers is not installed, cannot run the model, or is not ready in time.
        """
        installed = self._installation.installed()
        weights = self._weights()
        identifier = engine_id(self._model_name, self.name, str(self._path), installed.packages)
        return await brought_up(
            identifier,
            self._state_dir,
            lambda files: self._launch(files, weights, installed),
            self._settings.start_timeout_s,
        )

    def _weights(self) -> Weights:
        try:
            weights = read_weights(self._path)
        except ModelError as error:
            raise EngineError(str(error), hint=error.hint) from error
        if weights.format == "hf":
            return weights
        raise EngineError(
            f"{self._path} is in Mistral's format, and transformers reads Hugging Face's",
            hint="`patchwright model convert --to hf` writes it",
        )

    def _launch(self, files: EngineFiles, weights: Weights, installed: Recipe) -> ServedLaunch:
        return ServedLaunch(
            engine="transformers",
            id=files.id,
            directory=files.state.parent,
            model=str(self._path),  # it answers to no other name
            path=self._path,
            context_tokens=weights.context_tokens,
            kv_type="bf16",
            threads=usable_cores(),
            slots=1,
            # 5.23 streams with tokenizers of its own kind only, and uses Mistral's where there is a tekken.json:
            # "'MistralTokenizer' object has no attribute '_tokenizer'".
            streams=not weights.tekken,
            planned_bytes=weights.size_bytes,
            idle_s=self._settings.idle_s,
            start_timeout_s=self._settings.start_timeout_s,
            api_key=SecretStr(secrets.token_urlsafe(32)),
            command=(str(self._installation.program(installed.program)), "serve", str(self._path)),
            address="port",
            variables={"HF_HUB_OFFLINE": "1"},
        )
