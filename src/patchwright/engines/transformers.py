"""`transformers serve`: every architecture that Hugging Face's library knows, one request at a time."""

import secrets

from pydantic import SecretStr

from patchwright.engines.launch import ServedLaunch
from patchwright.engines.machine import usable_cores
from patchwright.engines.recipe import Recipe
from patchwright.engines.served import ServedEngine, ServedSettings
from patchwright.engines.state import EngineFiles
from patchwright.engines.weights import Weights, read_weights
from patchwright.errors import EngineError


class TransformersSettings(ServedSettings):
    """What a user can say about `transformers serve`."""


class Transformers(ServedEngine[TransformersSettings, Weights]):
    """A directory of weights in Hugging Face's format, served by transformers."""

    name = "transformers"

    def read(self) -> Weights:
        weights = read_weights(self.path)
        if weights.format == "hf":
            return weights
        raise EngineError(
            f"{self.path} is in Mistral's format, and transformers reads Hugging Face's",
            hint="`patchwright model convert --to hf` writes it",
        )

    def launch(self, files: EngineFiles, weights: Weights, installed: Recipe) -> ServedLaunch:
        return ServedLaunch(
            engine="transformers",
            id=files.id,
            directory=files.state.parent,
            model=str(self.path),  # it answers to no other name
            path=self.path,
            context_tokens=weights.context_tokens,
            kv_type="bf16",
            threads=usable_cores(),
            slots=1,
            # 5.23 streams with tokenizers of its own kind only, and uses Mistral's where there is a tekken.json:
            # "'MistralTokenizer' object has no attribute '_tokenizer'".
            streams=not weights.tekken,
            rules="mistral" if weights.tekken else "any",
            planned_bytes=weights.size_bytes,
            idle_s=self.settings.idle_s,
            start_timeout_s=self.settings.start_timeout_s,
            api_key=SecretStr(secrets.token_urlsafe(32)),
            command=(self.program(installed), "serve", str(self.path)),
            address="port",
            variables={"HF_HUB_OFFLINE": "1"},
        )
