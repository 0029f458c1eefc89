"""What is known of an engine on disk: how it was launched, where it answers, and whether it lives."""

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil
from pydantic import ValidationError

from patchwright.engines.launch import AnyLaunch, LlamaCppLaunch
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.record import Record

CLOCK_TOLERANCE_S = 2.0
"""A process's start time is reckoned from the boot time, which moves a little when the clock is set."""

READY = b"ready\n"
"""What an engine's process says to its starter when it answers requests."""

LOG_BYTES = 4_000_000


class EngineState(Record):
    """One engine that was healthy when this was written. Holds the key: the file is for its owner alone."""

    version: Literal[2] = 2
    launch: AnyLaunch
    pid: int
    process_started_s: float
    """When the process began, in seconds since the epoch: with the pid it names a process for good."""
    url: str
    """The server's root; the OpenAI routes are below /v1."""
    context_tokens: int
    """As the server has allocated them, for each slot."""

    def process(self) -> psutil.Process | None:
        """The engine's process, or None when it has ended."""
        try:
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - self.process_started_s) < CLOCK_TOLERANCE_S
        except psutil.NoSuchProcess:
            return None
        return process if alive and same else None

    def endpoint(self) -> Endpoint:
        adapters = self.launch.adapters if isinstance(self.launch, LlamaCppLaunch) else ()
        return Endpoint(
            base_url=f"{self.url}/v1",
            model=self.launch.model,
            api_key=self.launch.api_key,
            context_tokens=self.context_tokens,
            tokenizes=self.launch.tokenizes or self.launch.engine == "llama.cpp",
            streams=self.launch.streams,
            rules=self.launch.rules,
            adapters=tuple(adapter.name for adapter in adapters),
        )


class EngineFiles:
    """The files of one engine: its state, its log, and the lock that whoever starts or ends it holds."""

    def __init__(self, directory: Path, engine_id: str) -> None:
        self.id = engine_id
        self.state = directory / f"{engine_id}.json"
        self.lock = directory / f"{engine_id}.lock"
        self.log = directory / f"{engine_id}.log"

    def read_state(self) -> EngineState | None:
        """The state, or None when there is none that this version can read."""
        try:
            return EngineState.model_validate_json(self.state.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write_state(self, state: EngineState) -> None:
        """Appears whole, under its name, for the owner's eyes only."""
        draft = self.state.with_suffix(".new")
        with open(draft, "w", encoding="utf-8", opener=_for_owner) as file:
            file.write(state.model_dump_json())
        draft.replace(self.state)

    def forget(self, state: EngineState) -> None:
        """Removes the state file if it is still this one's."""
        current = self.read_state()
        if current and current.pid == state.pid:
            self.state.unlink(missing_ok=True)

    def touch(self) -> None:
        """Says that the engine is wanted: the state's modification time is the time of the last use."""
        with suppress(FileNotFoundError):
            os.utime(self.state)

    def unused_s(self) -> float:
        """Seconds since the last use; endless when there is no state."""
        try:
            return time.time() - self.state.stat().st_mtime
        except FileNotFoundError:
            return math.inf

    def start_log(self, headline: str) -> int:
        """Adds a line to the log, which starts afresh when it has grown large; where the log goes on, in bytes."""
        large = self.log.exists() and self.log.stat().st_size > LOG_BYTES
        with open(self.log, "w" if large else "a", encoding="utf-8", opener=_for_owner) as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {headline}\n")
            return log.tell()

    def log_since(self, start: int) -> str:
        """What the log says from the byte `start` on."""
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")


def engines_directory(state_dir: Path) -> Path:
    """Where the engines' files are; made if need be, for the owner alone.

    Symlinks are followed: an engine outlives a state directory that borrows it.
    """
    directory = (state_dir / "engines").resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
