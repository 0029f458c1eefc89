"""Bringing up an engine that runs in a process of its own: found again where it runs, otherwise started."""

import asyncio
import hashlib
import logging
import os
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil

from patchwright.engines.launch import LAUNCH, LlamaCppLaunch, ServedLaunch
from patchwright.engines.log import failure_in
from patchwright.engines.state import READY, EngineFiles, EngineState, engines_directory
from patchwright.errors import EngineError
from patchwright.lock import locked_within
from patchwright.schema.endpoint import Endpoint

ANSWER_TIMEOUT_S = 10.0
"""An engine answers its probe at once, whatever it computes; one that takes longer hangs."""

NO_OPENMP = "install the OpenMP library: `apt install libgomp1`, or your system's package for it"

logger = logging.getLogger(__name__)


def engine_id(model_name: str, *identity: object) -> str:
    """The same for everybody who means the same: `identity` is what makes it another engine, beside our version."""
    name = re.sub(r"[^\w.-]", "-", model_name)
    digest = hashlib.sha256(repr((model_name, *identity, version("patchwright"))).encode()).hexdigest()
    return f"{name}-{digest[:8]}"


async def brought_up(
    identifier: str,
    state_dir: Path,
    launch: Callable[[EngineFiles], LlamaCppLaunch | ServedLaunch],
    start_timeout_s: float,
) -> Endpoint:
    """The endpoint of the running engine, or of one that is started now as `launch` says.

    Raises EngineError when it cannot run its model, and when it is not ready in time.
    """
    files = EngineFiles(_directory(state_dir), identifier)
    timeout_s = start_timeout_s + ANSWER_TIMEOUT_S
    busy = EngineError(f"another process has been starting {identifier} for {timeout_s:.0f} s")
    async with locked_within(files.lock, timeout_s, busy) as lock:
        state = await _find(files) or await _start(launch(files), files, lock)
        files.touch()
    return state.endpoint()


def _directory(state_dir: Path) -> Path:
    try:
        return engines_directory(state_dir)
    except OSError as error:
        raise EngineError(f"{state_dir}: {(error.strerror or str(error)).lower()}") from error


async def _start(launch: LlamaCppLaunch | ServedLaunch, files: EngineFiles, lock: int) -> EngineState:
    logger.info("starting %s: %s", launch.id, launch.summary())
    files.state.unlink(missing_ok=True)
    began_s, log_start = time.monotonic(), files.start_log(launch.summary())
    if await _spawn(launch, files, lock) and (state := files.read_state()):
        return state
    reason = failure_in(files.log_since(log_start))
    if reason is None and time.monotonic() - began_s >= launch.start_timeout_s:
        reason = f"it was not ready within {launch.start_timeout_s:g} s"
    raise EngineError(
        f"{launch.engine} cannot run {launch.path}: "
        f"{reason or 'it died without a word, most likely for lack of memory'}",
        hint=_hint(reason, launch.id),
    )


def _hint(reason: str | None, identifier: str) -> str:
    if reason and "libgomp" in reason:
        return NO_OPENMP
    return f"`patchwright engine logs {identifier}` shows all that it said"


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
    """Whether our engine is there, and knows our key."""
    headers = {"Authorization": f"Bearer {state.launch.api_key.get_secret_value()}"}
    # A proxy from the environment must not see a request to loopback, and plain HTTP needs no certificates.
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=ANSWER_TIMEOUT_S) as client:
        try:
            response = await client.get(f"{state.url}{state.launch.probe}", headers=headers)
        except httpx.TransportError:
            return False
    return response.is_success


async def _spawn(launch: LlamaCppLaunch | ServedLaunch, files: EngineFiles, lock: int) -> bool:
    """Starts the engine's process; True when it is ready, False when it has died.

    -P keeps the current directory, which may be anybody's repository, out of the module search path.
    """
    command = (sys.executable, "-P", "-m", "patchwright.engines.child", str(lock))
    with files.log.open("ab") as log:
        launcher = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=log, cwd=launch.directory, pass_fds=(lock,)
        )
    return await _ready(launcher, LAUNCH.dump_json(launch))


async def _ready(launcher: Process, launch: bytes) -> bool:
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    with suppress(ConnectionError):
        launcher.stdin.write(launch)
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
