"""The engines that run on this machine: list them, find one by name, stop it, read its log."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from patchwright.engines.base import EngineName
from patchwright.engines.state import EngineFiles, EngineState, engines_directory
from patchwright.errors import EngineError
from patchwright.schema.record import Record

STOP_TIMEOUT_S = 5.0
"""For an engine to end in order; it needs some 2 s at most."""

POLL_S = 0.02
FOLLOW_POLL_S = 0.2


class RunningEngine(Record):
    """What a person wants to know of an engine. Says nothing of its key."""

    id: str
    engine: EngineName
    model: str
    path: Path
    pid: int
    url: str
    context_tokens: int
    slots: int
    kv_type: str
    threads: int
    planned_bytes: int
    resident_bytes: int
    running_s: float
    unused_s: float
    """Seconds since the last request; at `idle_s` the engine ends."""
    idle_s: float
    log: Path


def running_engines(state_dir: Path) -> list[RunningEngine]:
    """The engines that live, the one used last first."""
    engines = [_describe(files, state, process) for files, state, process in _live(state_dir)]
    return sorted(engines, key=lambda engine: engine.unused_s)


def find_engine(state_dir: Path, name: str | None) -> RunningEngine:
    """The engine whose id begins with `name`, or the only one there is.

    Raises EngineError when there is none, or more than one.
    """
    found = [engine for engine in running_engines(state_dir) if engine.id.startswith(name or "")]
    if len(found) == 1:
        return found[0]
    if found:
        raise EngineError(f"{len(found)} engines run: {', '.join(engine.id for engine in found)}", hint="name one")
    raise EngineError(f"no engine {name} runs" if name else "no engine runs", hint="`patchwright engine ps` lists them")


def stop_engine(engine: RunningEngine, state_dir: Path) -> None:
    """Ends the engine: in order, or by force after STOP_TIMEOUT_S. Its clients lose their connection."""
    for files, state, process in _live(state_dir):
        if state.pid == engine.pid:
            process.terminate()
            if not _wait_for_end(state, STOP_TIMEOUT_S):
                process.kill()
                _wait_for_end(state, STOP_TIMEOUT_S)
            files.forget(state)


def find_log(state_dir: Path, name: str | None) -> Path:
    """The log of the engine whose id begins with `name`, running or not; the one written last, if several do.

    Raises EngineError when there is none.
    """
    logs = [log for log in engines_directory(state_dir).glob("*.log") if log.stem.startswith(name or "")]
    if not logs:
        raise EngineError(f"no engine {name} has left a log" if name else "no engine has left a log")
    return max(logs, key=lambda log: log.stat().st_mtime)


def log_texts(path: Path, state_dir: Path, *, follow: bool) -> Iterator[str]:
    """What the log says, piece by piece; when followed, until the process that writes it has ended.

    An engine takes its state file away before it closes: its last lines come when it is no longer listed.
    """
    writers: list[EngineState] = []
    with path.open(encoding="utf-8", errors="replace") as log:
        while follow and (writers := _writers(path, state_dir) or [state for state in writers if state.process()]):
            yield log.read()
            time.sleep(FOLLOW_POLL_S)
        yield log.read()


def _writers(log: Path, state_dir: Path) -> list[EngineState]:
    return [state for files, state, _ in _live(state_dir) if files.log == log]


def _live(state_dir: Path) -> list[tuple[EngineFiles, EngineState, psutil.Process]]:
    directory = engines_directory(state_dir)
    every = [EngineFiles(directory, path.stem) for path in directory.glob("*.json")]
    states = [(files, state) for files in every if (state := files.read_state())]
    return [(files, state, process) for files, state in states if (process := state.process())]


def _wait_for_end(state: EngineState, timeout_s: float) -> bool:
    """Whether the engine ended in time. One that has ended and that its new parent, process 1, has not
    collected yet counts: in a container that may be never."""
    deadline_s = time.monotonic() + timeout_s
    while state.process():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True


def _describe(files: EngineFiles, state: EngineState, process: psutil.Process) -> RunningEngine:
    launch = state.launch
    return RunningEngine(
        id=launch.id,
        engine=launch.engine,
        model=launch.model,
        path=launch.path,
        pid=state.pid,
        url=state.url,
        context_tokens=state.context_tokens,
        slots=launch.slots,
        kv_type=launch.kv_type,
        threads=launch.threads,
        planned_bytes=launch.planned_bytes,
        resident_bytes=_resident_bytes(process),
        running_s=time.time() - state.process_started_s,
        unused_s=files.unused_s(),
        idle_s=launch.idle_s,
        log=files.log,
    )


def _resident_bytes(process: psutil.Process) -> int:
    """Of the engine with all that it has started; pages that they share count for each."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total
