"""mistral-inference: the publisher's own code, asked what a model says. It serves nobody, and is not fast."""

import asyncio
import json
from asyncio.subprocess import PIPE
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

import psutil
from pydantic import ValidationError

from patchwright.engines.installation import Installation
from patchwright.engines.launch import GB
from patchwright.engines.log import failure_in
from patchwright.engines.weights import read_weights
from patchwright.errors import EngineError, ModelError
from patchwright.schema.messages import Json
from patchwright.schema.record import Record

PROGRAM = Path(__file__).with_name("mistral_inference_program.py")
_WEIGHTS = "consolidated.safetensors"
_PICKLE = "consolidated.00.pth"
_KILLED = "it was killed, most likely for lack of memory"
_NO_WORD = "it ended without a word"


class Generated(Record):
    """What the model wrote."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Of each token, before temperature."""


class MistralInference:
    """A directory in Mistral's format, loaded for each prompt anew."""

    def __init__(self, weights: Path, installation: Installation) -> None:
        """Raises EngineError for weights that it cannot read, and when it is not installed."""
        self._weights = weights.absolute()
        self._installation = installation
        self._device = installation.installed().device
        self._check()

    async def generate(
        self, prompt: list[int], *, end: int, max_tokens: int, temperature: float = 0.0, seed: int = 0
    ) -> Generated:
        """What comes after the prompt's tokens, up to the token `end`. Raises EngineError."""
        task: Json = {
            "weights": str(self._weights),
            "device": self._device,
            "prompt": prompt,
            "end": end,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        command = (str(self._installation.program("python")), "-I", str(PROGRAM))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        try:
            said, log = await process.communicate(json.dumps(task).encode())
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        try:
            return Generated.model_validate_json(said)
        except ValidationError:
            reason = _KILLED if process.returncode == -SIGKILL else _reason(log.decode(errors="replace").strip())
            raise EngineError(f"mistral-inference cannot run {self._weights}: {reason}") from None

    def _check(self) -> None:
        try:
            weights = read_weights(self._weights)
        except ModelError as error:
            raise EngineError(str(error), hint=error.hint) from error
        if weights.format != "mistral" or not (self._weights / _WEIGHTS).is_file():
            raise EngineError(
                f"{self._weights} is not in Mistral's format, in one file, and mistral-inference reads no other",
                hint="`patchwright model convert --to mistral` writes it",
            )
        if (self._weights / _PICKLE).exists():
            raise EngineError(f"{self._weights / _PICKLE} is a pickle, which may run anything: it is not loaded")
        free_bytes = psutil.virtual_memory().available
        if weights.size_bytes > free_bytes:
            free = f"{free_bytes / GB:.1f} GB of memory are free"
            raise EngineError(
                f"{self._weights} holds {weights.size_bytes / GB:.1f} GB, and {free}",
                hint="mistral-inference loads them whole; llama.cpp runs a quantised file of less",
            )


def _reason(log: str) -> str:
    return failure_in(log) or log.rpartition("\n")[2] or _NO_WORD
