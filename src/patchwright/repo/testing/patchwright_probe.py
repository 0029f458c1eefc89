"""A pytest plugin, not a module of ours: reports what each test did, and holds it to its time. PYTEST_DONT_REWRITE

Runs in the project's Python: any from 3.6 with any pytest from 5.0, and nothing else but the tracer beside it.
Loaded through PYTEST_PLUGINS; told by PATCHWRIGHT_PROBE_REPORTS (a directory; without it this does nothing),
PATCHWRIGHT_PROBE_TEST_TIMEOUT_S (empty: no limit) and PATCHWRIGHT_PROBE_TRACE (the work tree; empty: no tracing).

Each process appends to its own file, one JSON object a line and a line a test: {"test": …, "outcome": …,
"seconds": …, "lines": {path: [line, …]}}. So it is all there when the process is killed, with pytest-xdist and when
pytest runs twice.
(The word in capitals keeps pytest from warning when this was imported before it came to rewrite it.)
"""

import contextlib
import json
import os
import signal
import threading
from types import FrameType
from typing import Any, Dict, Generator, Optional, Set, Tuple

import pytest
from patchwright_tracer import Lines, make_tracer

_RANK = ("skipped", "passed", "error", "failed", "timed_out")
# A test that swallows the interruption is interrupted again.
_AGAIN_S = 1.0
_TRACE_LIMIT_BYTES = 16000000
# Where so many tests hang, most do: the rest get a tenth of the time each.
_PATIENCE = 2


def pytest_configure(config: "pytest.Config") -> None:
    directory = os.environ.get("PATCHWRIGHT_PROBE_REPORTS")
    if directory:
        config.pluginmanager.register(Probe(config, directory), "patchwright-probe")


class Probe:
    """Hooks of one pytest session."""

    def __init__(self, config: "pytest.Config", directory: str) -> None:
        seconds = os.environ.get("PATCHWRIGHT_PROBE_TEST_TIMEOUT_S")
        root = os.environ.get("PATCHWRIGHT_PROBE_TRACE")
        self._report = Report(directory)
        self._limit = Limit(float(seconds)) if seconds else None
        self._tracer = make_tracer(root) if root else None
        self._outcomes: Dict[str, str] = {}
        self._seconds: Dict[str, float] = {}
        self._expired: Set[str] = set()
        self._hung = 0
        self._lines: Dict[str, Lines] = {}
        # pytest-xdist's controller runs no tests, and its workers need the variables to load this.
        is_controller = getattr(config.option, "dist", "no") != "no"
        self._environment = {} if is_controller else hide_from_children()

    def pytest_unconfigure(self) -> None:
        os.environ.update(self._environment)
        if self._tracer is not None:
            self._tracer.close()

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: "pytest.Item") -> Generator[None, Any, None]:
        self._expired.discard(item.nodeid)
        self._lines[item.nodeid] = {}
        self._start(self._lines[item.nodeid])
        yield
        self._stop(item.nodeid)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self, item: "pytest.Item") -> Generator[None, Any, None]:
        self._start(self._lines.setdefault(item.nodeid, {}))
        yield
        self._stop(item.nodeid)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: "pytest.Item") -> Generator[None, Any, None]:
        self._start(None)
        yield
        self._stop(item.nodeid)

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        test = report.nodeid
        if report.when == "setup":
            # Also the second attempt of pytest-rerunfailures.
            self._outcomes.pop(test, None)
            self._seconds.pop(test, None)
        self._seconds[test] = self._seconds.get(test, 0.0) + report.duration
        words = (self._outcomes.get(test), outcome_of(report), "timed_out" if test in self._expired else None)
        known = [word for word in words if word is not None]
        if known:
            self._outcomes[test] = max(known, key=_RANK.index)
        # "???" is pytest-xdist's word for a worker that died.
        if report.when not in ("setup", "call") and test in self._outcomes:
            self._report.add(test, self._outcomes.pop(test), self._seconds.pop(test), self._lines.pop(test, {}))

    def pytest_collectreport(self, report: "pytest.CollectReport") -> None:
        if report.nodeid and report.outcome != "passed":
            self._report.add(report.nodeid, "error" if report.outcome == "failed" else "skipped", 0.0, {})

    def _start(self, lines: Optional[Lines]) -> None:
        if self._tracer is not None and lines is not None:
            self._tracer.start(lines)
        if self._limit is not None:
            self._limit.start(0.1 if self._hung >= _PATIENCE else 1.0)

    def _stop(self, test: str) -> None:
        if self._limit is not None and self._limit.stop():
            self._expired.add(test)
            self._hung += 1
        if self._tracer is not None:
            self._tracer.stop()


def outcome_of(report: "pytest.TestReport") -> Optional[str]:
    """None where a phase says nothing: a setup that worked, an attempt that will be repeated."""
    if report.outcome == "failed":
        return "error" if report.when in ("setup", "teardown") else "failed"
    if report.outcome == "passed":
        return "passed" if report.when == "call" else None
    return "skipped" if report.outcome == "skipped" else None


def hide_from_children() -> Dict[str, str]:
    """What a test itself starts is not ours to report, and may not find us. Returns what the variables were."""
    own = {"PYTEST_PLUGINS": (",", __name__), "PYTHONPATH": (os.pathsep, os.path.dirname(os.path.abspath(__file__)))}
    before = {name: os.environ[name] for name in own if name in os.environ}
    for name, value in before.items():
        separator, entry = own[name]
        rest = separator.join(each for each in value.split(separator) if each != entry)
        if rest:
            os.environ[name] = rest
        else:
            del os.environ[name]
    return before


class Report:
    """One process's file. Opened for each line, since a test may close every descriptor that it finds."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, f"{os.getpid()}.jsonl")
        self._trace_room_bytes = _TRACE_LIMIT_BYTES
        with contextlib.suppress(OSError):
            os.makedirs(directory, exist_ok=True)

    def add(self, test: str, outcome: str, seconds: float, lines: Lines) -> None:
        name = test.encode("utf-8", "replace").decode()
        text = json.dumps({"test": name, "outcome": outcome, "seconds": round(seconds, 3)})
        traced = json.dumps({path: sorted(numbers) for path, numbers in lines.items() if numbers})
        self._trace_room_bytes -= len(traced)
        if self._trace_room_bytes >= 0:
            text = f'{text[:-1]}, "lines": {traced}}}'
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, f"{text}\n".encode())
            finally:
                os.close(descriptor)


class Limit:
    """The time that each phase of a test may take; afterwards `pytest.fail` where it is, past `except Exception`."""

    def __init__(self, seconds: float) -> None:
        self._most = self._seconds = seconds
        self._before: Optional[Tuple[Any, float, float]] = None
        self._has_expired = False

    def start(self, share: float) -> None:
        self._has_expired = False
        self._seconds = share * self._most
        if threading.current_thread() is not threading.main_thread():
            return
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        # Somebody else's, as pytest-timeout's, that comes first.
        if 0 < left <= self._seconds:
            return
        self._before = (signal.signal(signal.SIGALRM, self._expire), left, interval)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, _AGAIN_S)

    def stop(self) -> bool:
        """Whether it was exceeded."""
        # Unless the test has put a handler of its own in place, and left it there.
        if self._before is not None and signal.getsignal(signal.SIGALRM) == self._expire:
            self._restore(*self._before)
        self._before = None
        return self._has_expired

    def _restore(self, handler: Any, left: float, interval: float) -> None:
        own_left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (self._seconds - own_left), 0.001), interval)

    def _expire(self, _number: int, _frame: Optional[FrameType]) -> None:
        __tracebackhide__ = True
        again, self._has_expired = self._has_expired, True
        message = f"patchwright: still running after {self._seconds:g} s"
        if again:
            raise StillRunning(message)
        pytest.fail(message)


class StillRunning(BaseException):
    """For who takes `pytest.fail` for a failure to look into: Hypothesis ran a loop for 100 s to shrink its input."""
