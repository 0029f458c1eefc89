"""The embedded engine: llama.cpp in a process of its own, shared by every Patchwright process of the user."""

import asyncio
import hashlib
import logging
import os
import re
import secrets
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
from pydantic import SecretStr

from patchwright.engines.launch import REPACK, Launch, LlamaCppSettings, fit
from patchwright.engines.log import failure_in
from patchwright.engines.machine import usable_cores
from patchwright.engines.state import READY, EngineFiles, EngineState, engines_directory
from patchwright.errors import EngineError, ModelError
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.memory import machine_memory_bytes
from patchwright.schema.endpoint import Endpoint

LOCK_POLL_S = 0.05
ANSWER_TIMEOUT_S = 10.0
"""An engine answers /v1/models at once, whatever it computes; one that takes longer hangs."""

NO_OPENMP = "install the OpenMP library: `apt install libgomp1`, or your system's package for it"

logger = logging.getLogger(__name__)


class LlamaCpp:
    """A model file served by llama.cpp, one engine for each file and settings.

    `model_name` is what the endpoint calls the model, by default the file's name without its ending. The engine
    outlives this object: it ends when nobody has asked anything for `settings.idle_s`, or is stopped by name.
    """

    name = "llama.cpp"

    def __init__(
        self, model: Path, settings: LlamaCppSettings, state_dir: Path, *, model_name: str | None = None
    ) -> None:
        self._path = model.absolute()
        self._settings = settings
        self._state_dir = state_dir
        self._model_name = model_name or model.stem

    async def connect(self) -> Endpoint:
        """The endpoint of the running engine, or of one that is started now.

        Raises EngineError when the file is not a model that llama.cpp can run, when it does not fit into memory,
        and when it is not ready within `settings.start_timeout_s`.
        """
        info = self._read_header()
        files = EngineFiles(self._directory(), self._engine_id())
        async with _locked(files, timeout_s=self._settings.start_timeout_s + ANSWER_TIMEOUT_S) as lock:
            state = await _find(files) or await self._start(info, files, lock)
            files.touch()
        return state.endpoint()

    def _read_header(self) -> GgufInfo:
        try:
            return read_gguf(self._path)
        except ModelError as error:
            raise EngineError(str(error), hint=error.hint) from error

    def _directory(self) -> Path:
        try:
            return engines_directory(self._state_dir)
        except OSError as error:
            raise EngineError(f"{self._state_dir}: {(error.strerror or str(error)).lower()}") from error

    def _engine_id(self) -> str:
        """The same for everybody who means the same file, settings and version. How long an engine may load
        or idle does not make it another."""
        file = self._path.stat()
        identity = (
            *(str(self._path.resolve()), file.st_size, file.st_mtime_ns, self._model_name),
            self._settings.model_dump_json(exclude={"idle_s", "start_timeout_s"}),
            *(version("patchwright"), version("xllamacpp")),
        )
        name = re.sub(r"[^\w.-]", "-", self._model_name)
        return f"{name}-{hashlib.sha256(repr(identity).encode()).hexdigest()[:8]}"

    async def _start(self, info: GgufInfo, files: EngineFiles, lock: int) -> EngineState:
        launch = self._launch(info, files)
        logger.info("starting %s: %s", launch.id, launch.summary())
        files.state.unlink(missing_ok=True)
        began_s, log_start = time.monotonic(), files.start_log(launch.summary())
        if await _spawn(launch, files, lock) and (state := files.read_state()):
            return state
        reason = failure_in(files.log_since(log_start))
        if reason is None and time.monotonic() - began_s >= launch.start_timeout_s:
            reason = f"it was not ready within {launch.start_timeout_s:g} s"
        raise EngineError(
            f"llama.cpp cannot run {self._path}: {reason or 'it died without a word, most likely for lack of memory'}",
            hint=_hint(reason, launch),
        )

    def _launch(self, info: GgufInfo, files: EngineFiles) -> Launch:
        settings = self._settings
        chosen = fit(info, settings, machine_memory_bytes())
        return Launch(
            id=files.id,
            directory=files.state.parent,
            model=self._model_name,
            path=self._path,
            context_tokens=chosen.context_tokens,
            kv_type=chosen.kv_type,
            threads=settings.threads or usable_cores(),
            slots=settings.slots,
            cache_ram_mib=settings.cache_ram_mib,
            ngram_speculation=settings.ngram_speculation,
            repack=REPACK,
            planned_bytes=chosen.planned_bytes,
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


def _hint(reason: str | None, launch: Launch) -> str:
    if reason and "libgomp" in reason:
        return NO_OPENMP
    return f"`patchwright engine logs {launch.id}` shows all that it said"


@asynccontextmanager
async def _locked(files: EngineFiles, timeout_s: float) -> AsyncGenerator[int]:
    """Holds the engine's lock. Polls: a thread that waits for a lock cannot be cancelled."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        with files.try_lock() as lock:
            if lock is not None:
                yield lock
                return
        if time.monotonic() > deadline_s:
            raise EngineError(f"another process has been starting {files.id} for {timeout_s:.0f} s")
        await asyncio.sleep(LOCK_POLL_S)


async def _find(files: EngineFiles) -> EngineState | None:
    """The running engine, or None. One that hangs is killed."""
    state = files.read_state()
    process = state.process() if state else None
    if state is None or process is None:
        return None
    if await _answers(state):
        logger.info("using %s, which runs already: %s", files.id, state.launch.summary())
        return state
    logger.warning("%s does not answer and is replaced", files.id)
    with suppress(psutil.NoSuchProcess):
        process.kill()
    return None


async def _answers(state: EngineState) -> bool:
    """Whether our engine is there: /health is open to everybody, /v1/models only to who has the key."""
    headers = {"Authorization": f"Bearer {state.launch.api_key.get_secret_value()}"}
    # A proxy from the environment must not see a request to loopback, and plain HTTP needs no certificates.
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=ANSWER_TIMEOUT_S) as client:
        try:
            response = await client.get(f"{state.url}/v1/models", headers=headers)
        except httpx.TransportError:
            return False
    return response.is_success


async def _spawn(launch: Launch, files: EngineFiles, lock: int) -> bool:
    """Starts the engine's process; True when it is ready, False when it has died.

    -P keeps the current directory, which may be anybody's repository, out of the module search path.
    """
    command = (sys.executable, "-P", "-m", "patchwright.engines.child", str(lock))
    with files.log.open("ab") as log:
        launcher = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=log, cwd=launch.directory, pass_fds=(lock,)
        )
    return await _ready(launcher, launch)


async def _ready(launcher: Process, launch: Launch) -> bool:
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    with suppress(ConnectionError):
        launcher.stdin.write(launch.model_dump_json().encode())
        await launcher.stdin.drain()
    launcher.stdin.close()
    await launcher.wait()
    first_line = await launcher.stdout.readline()
    report: bytes | None = None
    try:
        report = await launcher.stdout.read()
    finally:
        if report is None and first_line:  # cancelled: nobody waits for it any more
            with suppress(ProcessLookupError):
                os.kill(int(first_line), signal.SIGKILL)
    return report == READY
