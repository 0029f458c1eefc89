"""The embedded engine: llama.cpp in a process of its own, shared by every Patchwright process of the user."""

import asyncio
import secrets
import sys
from asyncio.subprocess import PIPE
from importlib.metadata import version
from pathlib import Path

from pydantic import SecretStr

from patchwright.engines.adapters import NamedAdapter, gguf_of
from patchwright.engines.base import ALONE, Replica
from patchwright.engines.launch import LlamaCppLaunch
from patchwright.engines.llama_cpp_settings import LlamaCppSettings, fit, memory_share_bytes
from patchwright.engines.machine import usable_cores
from patchwright.engines.stamp import stamp
from patchwright.engines.starting import NO_OPENMP, brought_up, engine_id
from patchwright.engines.state import EngineFiles
from patchwright.errors import EngineError, ModelError
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.memory import machine_memory_bytes
from patchwright.schema.endpoint import Endpoint


class LlamaCpp:
    """A model file served by llama.cpp, one engine for each file and settings.

    `model_name` is what the endpoint calls the model, by default the file's name without its ending. The engine
    outlives this object: it ends when nobody has asked anything for `settings.idle_s`, or is stopped by name.
    `replica`: one of several, each with its share of the machine.
    """

    name = "llama.cpp"

    def __init__(
        self,
        model: Path,
        settings: LlamaCppSettings,
        state_dir: Path,
        *,
        model_name: str | None = None,
        replica: Replica = ALONE,
    ) -> None:
        self._path = model.absolute()
        self._settings = settings
        self._state_dir = state_dir
        self._model_name = model_name or model.stem
        self._replica = replica

    async def connect(self) -> Endpoint:
        """The endpoint of the running engine, or of one that is started now.

        Raises EngineError when the file is not a model that llama.cpp can run, when it does not fit into memory,
        and when it is not ready within `settings.start_timeout_s`.
        """
        info = self._read_header()
        adapters = await self.gguf_adapters()
        return await brought_up(
            self._id(adapters),
            self._state_dir,
            lambda files: self._launch(info, adapters, files),
            self._settings.start_timeout_s,
        )

    @property
    def adapters(self) -> tuple[NamedAdapter, ...]:
        """As they were named, loaded or not."""
        return self._settings.adapters

    def with_adapters(self, adapters: tuple[NamedAdapter, ...]) -> "LlamaCpp":
        """The same model with others: another engine."""
        settings = self._settings.model_copy(update={"adapters": adapters})
        return LlamaCpp(self._path, settings, self._state_dir, model_name=self._model_name, replica=self._replica)

    async def gguf_adapters(self) -> tuple[NamedAdapter, ...]:
        """The adapters' files as llama.cpp reads them, converted where they are not. Raises EngineError."""
        names = [self._model_name, *(adapter.name for adapter in self.adapters)]
        if double := next((name for name in names if names.count(name) > 1), None):
            raise EngineError(f"two models are called {double}", hint="name the adapter: NAME=PATH")
        cache = self._state_dir / "adapters"
        return tuple([await asyncio.to_thread(gguf_of, each, self._path, cache) for each in self.adapters])

    def _read_header(self) -> GgufInfo:
        try:
            return read_gguf(self._path)
        except ModelError as error:
            raise EngineError(str(error), hint=error.hint) from error

    def _id(self, adapters: tuple[NamedAdapter, ...]) -> str:
        """How long an engine may load or idle does not make it another."""
        settings = self._settings.model_dump_json(exclude={"idle_s", "start_timeout_s", "adapters"})
        named = [(adapter.name, *stamp(adapter.path)) for adapter in adapters]
        identity = (*stamp(self._path), settings, named, version("xllamacpp"))
        return engine_id(self._model_name, *identity, *self._replica.identity)

    def _launch(self, info: GgufInfo, adapters: tuple[NamedAdapter, ...], files: EngineFiles) -> LlamaCppLaunch:
        settings = self._settings
        chosen = fit(info, settings, memory_share_bytes(info, machine_memory_bytes(), self._replica.of))
        return LlamaCppLaunch(
            id=files.id,
            directory=files.state.parent,
            model=self._model_name,
            path=self._path,
            context_tokens=chosen.context_tokens,
            kv_type=chosen.kv_type,
            threads=settings.threads or max(1, usable_cores() // self._replica.of),
            slots=settings.slots,
            # A conversation comes back from this cache as any adapter has computed it: it is found by its tokens alone
            # (https://github.com/ggml-org/llama.cpp/issues/30129).
            cache_ram_mib=0 if adapters else settings.cache_ram_mib,
            adapters=adapters,
            rules="alternating" if info.turns_alternate else "any",
            ngram_speculation=settings.ngram_speculation,
            repack=settings.repack,
            planned_bytes=chosen.planned_bytes + sum(adapter.path.stat().st_size for adapter in adapters),
            idle_s=settings.idle_s,
            start_timeout_s=settings.start_timeout_s,
            api_key=SecretStr(secrets.token_urlsafe(32)),
        )


async def check_library() -> str:
    """The version of llama.cpp's package, once it has been loaded, in a process of its own. Raises EngineError."""
    command = (sys.executable, "-P", "-c", "import xllamacpp")
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
    _, output = await process.communicate()
    if process.returncode:
        reason = output.decode(errors="replace").strip().rpartition("\n")[2]
        raise EngineError(f"llama.cpp cannot be loaded: {reason}", hint=NO_OPENMP if "libgomp" in reason else None)
    return version("xllamacpp")
