"""OpenVINO GenAI: GGUF files on a CPU, whose prompts it reads faster than llama.cpp does where AVX-512 is."""

import secrets
from pathlib import Path

from pydantic import Field, SecretStr

from patchwright.engines.launch import ServedLaunch
from patchwright.engines.machine import usable_cores
from patchwright.engines.recipe import Recipe
from patchwright.engines.served import GIB, ServedEngine, ServedSettings, window
from patchwright.engines.state import EngineFiles
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.memory import kv_bytes_per_token

WEIGHTS = 2.6
"""Memory for a byte of weights: qwen2.5-coder-1.5b in Q4_K_M, of 1.1 GB, took 3.9 GB with a cache of 1 GiB."""
PROGRAM = Path(__file__).with_name("openvino_program.py")


class OpenVinoSettings(ServedSettings):
    """What a user can say about OpenVINO GenAI."""

    context_tokens: int | None = Field(default=None, ge=256)
    """The window in tokens, prompt and answer together; by default 32768, or the model's own if that is shorter."""

    slots: int = Field(default=4, ge=1)
    """Requests, or answers to one request, that are worked on at once."""

    cache_gib: int | None = Field(default=None, ge=1)
    """GiB for the KV cache, which the slots and what they begin with share; by default what one full window takes."""


class OpenVino(ServedEngine[OpenVinoSettings, GgufInfo]):
    """A GGUF file served by OpenVINO GenAI."""

    name = "openvino"

    def read(self) -> GgufInfo:
        return read_gguf(self.path)

    def launch(self, files: EngineFiles, weights: GgufInfo, installed: Recipe) -> ServedLaunch:
        context_tokens = window(weights.context_tokens, self.settings.context_tokens)
        cache_gib = self.settings.cache_gib or cache_gib_of(weights, context_tokens)
        return ServedLaunch(
            engine="openvino",
            id=files.id,
            directory=files.state.parent,
            model=self.model_name,
            path=self.path,
            context_tokens=context_tokens,
            kv_type="u8",
            threads=usable_cores(),
            slots=self.settings.slots,
            tokenizes=True,
            planned_bytes=round(WEIGHTS * weights.weights_bytes) + cache_gib * GIB,
            idle_s=self.settings.idle_s,
            start_timeout_s=self.settings.start_timeout_s,
            api_key=SecretStr(secrets.token_urlsafe(32)),
            command=(
                *(self.program(installed), "-I", str(PROGRAM), str(self.path)),
                *("--name", self.model_name, "--context-tokens", str(context_tokens)),
                *("--slots", str(self.settings.slots), "--cache-gib", str(cache_gib)),
            ),
            address="uds",
            variables={},
        )


def cache_gib_of(info: GgufInfo, context_tokens: int) -> int:
    """GiB for one full window: at least one, which is the least that can be said. In u8 the cache takes hardly more
    than half of what it would in f16."""
    return max(1, -(-kv_bytes_per_token(info, "q8_0") * context_tokens // GIB))
