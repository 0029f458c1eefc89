"""OpenVINO GenAI: GGUF files on a CPU, whose prompts it reads faster than llama.cpp does where AVX-512 is."""

import secrets
from pathlib import Path

from pydantic import Field, SecretStr

from patchwright.engines.installation import Installation
from patchwright.engines.launch import ServedLaunch
from patchwright.engines.llama_cpp_settings import CONTEXT_TOKENS
from patchwright.engines.machine import usable_cores
from patchwright.engines.recipe import Recipe
from patchwright.engines.starting import brought_up, engine_id
from patchwright.engines.state import EngineFiles
from patchwright.errors import EngineError, ModelError
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.memory import kv_bytes_per_token
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.record import Record

GIB = 1 << 30
WEIGHTS = 2.6
"""Memory for a byte of weights: qwen2.5-coder-1.5b in Q4_K_M, of 1.1 GB, took 3.9 GB with a cache of 1 GiB."""
PROGRAM = Path(__file__).with_name("openvino_program.py")


class OpenVinoSettings(Record):
    """What a user can say about OpenVINO GenAI."""

    context_tokens: int | None = Field(default=None, ge=256)
    """The window in tokens, prompt and answer together; by default 32768, or the model's own if that is shorter."""

    slots: int = Field(default=4, ge=1)
    """Requests, or answers to one request, that are worked on at once."""

    cache_gib: int | None = Field(default=None, ge=1)
    """GiB for the KV cache, which the slots and what they begin with share; by default what one full window takes."""

    idle_s: float = Field(default=900, gt=0)
    """Seconds without a request after which the engine ends and gives its memory back."""

    start_timeout_s: float = Field(default=900, gt=0)
    """Seconds that loading the model may take."""


class OpenVino:
    """A GGUF file served by OpenVINO GenAI, one engine for each file and settings."""

    name = "openvino"

    def __init__(
        self, model: Path, settings: OpenVinoSettings, state_dir: Path, installation: Installation, model_name: str
    ) -> None:
        self._path = model.absolute()
        self._settings = settings
        self._state_dir = state_dir
        self._installation = installation
        self._model_name = model_name

    async def connect(self) -> Endpoint:
        """The endpoint of the running engine, or of one that is started now.

        Raises EngineError when OpenVINO GenAI is not installed, cannot run the model, or is not ready in time.
        """
        installed = self._installation.installed()
        try:
            info = read_gguf(self._path)
        except (ModelError, IsADirectoryError) as error:
            raise EngineError(str(error), hint=getattr(error, "hint", None)) from error
        settings = self._settings.model_dump_json(exclude={"idle_s", "start_timeout_s"})
        identifier = engine_id(self._model_name, self.name, str(self._path), settings, installed.packages)
        return await brought_up(
            identifier,
            self._state_dir,
            lambda files: self._launch(files, info, installed),
            self._settings.start_timeout_s,
        )

    def _launch(self, files: EngineFiles, info: GgufInfo, installed: Recipe) -> ServedLaunch:
        context_tokens = window(info, self._settings.context_tokens)
        cache_gib = self._settings.cache_gib or cache_gib_of(info, context_tokens)
        return ServedLaunch(
            engine="openvino",
            id=files.id,
            directory=files.state.parent,
            model=self._model_name,
            path=self._path,
            context_tokens=context_tokens,
            kv_type="u8",
            threads=usable_cores(),
            slots=self._settings.slots,
            tokenizes=True,
            planned_bytes=round(WEIGHTS * info.weights_bytes) + cache_gib * GIB,
            idle_s=self._settings.idle_s,
            start_timeout_s=self._settings.start_timeout_s,
            api_key=SecretStr(secrets.token_urlsafe(32)),
            command=(
                *(str(self._installation.program(installed.program)), "-I", str(PROGRAM), str(self._path)),
                *("--name", self._model_name, "--context-tokens", str(context_tokens)),
                *("--slots", str(self._settings.slots), "--cache-gib", str(cache_gib)),
            ),
            address="uds",
            variables={},
        )


def window(info: GgufInfo, wanted: int | None) -> int:
    """Raises EngineError when it is longer than the model's."""
    if wanted and wanted > info.context_tokens:
        raise EngineError(
            f"the model has a window of {info.context_tokens} tokens, not {wanted}",
            hint="name a shorter context, or none: then it is chosen",
        )
    return wanted or min(info.context_tokens, CONTEXT_TOKENS)


def cache_gib_of(info: GgufInfo, context_tokens: int) -> int:
    """GiB for one full window: at least one, which is the least that can be said. In u8 the cache takes hardly more
    than half of what it would in f16."""
    return max(1, -(-kv_bytes_per_token(info, "q8_0") * context_tokens // GIB))
