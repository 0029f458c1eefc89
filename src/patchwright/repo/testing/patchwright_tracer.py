"""A tracer, not a module of ours: which lines of a work tree are executed. PYTEST_DONT_REWRITE

What runs while a module of the tree is imported does not count: it runs for everything that imports it.

Runs in the project's Python: any from 3.6, and nothing else. The probe traces tests with it. As a program, it runs
the one that PATCHWRIGHT_TRACER_PROGRAM names, as Python would, twice in one process, and writes what that executed of
the tree in PATCHWRIGHT_TRACER_TREE to the file PATCHWRIGHT_TRACER_REPORT, however it ends: {"lines": {path: [line, …]},
"set_up": {…}}. What only the first run executed is set_up: what is made once, on first use, and kept. Where the second
run ends otherwise than the first, it says nothing, and all are lines.
"""

import json
import os
import runpy
import sys
import threading
from types import CodeType, FrameType
from typing import Any, Callable, Dict, Optional, Set, Tuple

Lines = Dict[str, Set[int]]
"""By path in the work tree."""
Tracer = Callable[[FrameType, str, Any], Any]


def main() -> None:
    program = os.environ["PATCHWRIGHT_TRACER_PROGRAM"]
    sys.argv = [program]
    # As for a program that Python runs itself, not this one's directory.
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    tracer = make_tracer(os.environ["PATCHWRIGHT_TRACER_TREE"])
    first: Lines = {}
    report(first, {})
    end = run(program, tracer, first)
    report(first, {})  # before a second run that may never end
    again: Lines = {}
    if run(program, tracer, again) == end:
        set_up = {path: numbers - again.get(path, set()) for path, numbers in first.items()}
        report(again, set_up)


def run(program: str, tracer: Any, lines: Lines) -> "Tuple[str, str]":
    """How it ended."""
    if tracer is not None:
        tracer.start(lines)
    try:
        runpy.run_path(program, run_name="__main__")
    except BaseException as error:
        return type(error).__name__, str(error)
    finally:
        if tracer is not None:
            tracer.stop()
    return "", ""


def report(lines: Lines, set_up: Lines) -> None:
    found = {"lines": lines, "set_up": set_up}
    with open(os.environ["PATCHWRIGHT_TRACER_REPORT"], "w", encoding="utf-8") as file:
        json.dump(
            {name: {path: sorted(numbers) for path, numbers in each.items()} for name, each in found.items()}, file
        )


def make_tracer(root: str) -> "Any":
    """A FrameTracer or a MonitoringTracer; None when other tools leave no room."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return FrameTracer(Paths(root))
    free = [tool for tool in (4, 3, 2, 1) if monitoring.get_tool(tool) is None]
    return MonitoringTracer(Paths(root), monitoring, free[0]) if free else None


class Paths:
    """Paths in the work tree by `co_filename`; None for what is outside of it or installed in it."""

    def __init__(self, root: str) -> None:
        self._root = os.path.join(os.path.realpath(root), "")
        self._known: Dict[str, Optional[str]] = {}

    def find(self, filename: str) -> Optional[str]:
        try:
            return self._known[filename]
        except KeyError:
            path = self._known[filename] = self._look(filename)
            return path

    def _look(self, filename: str) -> Optional[str]:
        path = os.path.realpath(filename)
        if filename.startswith("<") or not path.startswith(self._root):
            return None
        below = path[len(self._root) :]
        *parents, _ = below.split(os.sep)
        places = [os.path.join(self._root, *parents[: index + 1]) for index in range(len(parents))]
        is_installed = {"site-packages", "dist-packages"}.intersection(parents)
        if is_installed or any(os.path.exists(os.path.join(place, "pyvenv.cfg")) for place in places):
            return None
        return below


class FrameTracer:
    """Up to Python 3.11. A tracer that was there before, as coverage's, sees nothing of the tests."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._lines: Lines = {}
        self._recorders: Dict[str, Tracer] = {}
        self._importing = 0
        self._before: Optional[Tuple[Any, Any]] = None

    def start(self, lines: Lines) -> None:
        self._lines = lines
        self._recorders = {}
        self._importing = 0
        self._before = (sys.gettrace(), getattr(threading, "_trace_hook", None))
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def stop(self) -> None:
        if self._before is not None:
            sys.settrace(self._before[0])
            threading.settrace(self._before[1])
            self._before = None

    def close(self) -> None:
        self.stop()

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Optional[Tracer]:
        path = self._paths.find(frame.f_code.co_filename)
        if path is None:
            return None
        if frame.f_code.co_name == "<module>":
            self._importing += 1
            return self._leave
        if self._importing:
            return None
        if path not in self._recorders:
            self._recorders[path] = recorder(self._lines.setdefault(path, set()))
        return self._recorders[path]

    def _leave(self, _frame: FrameType, event: str, _argument: Any) -> Tracer:
        if event == "return":
            self._importing -= 1
        return self._leave


def recorder(lines: Set[int]) -> Tracer:
    def record(frame: FrameType, event: str, _argument: Any) -> Tracer:
        if event == "line":
            lines.add(frame.f_lineno)
        return record

    return record


class MonitoringTracer:
    """From Python 3.12: a line costs something once a phase, and so does a function that is not in the work tree."""

    def __init__(self, paths: Paths, monitoring: Any, tool: int) -> None:
        self._paths = paths
        self._monitoring = monitoring
        self._tool = tool
        self._lines: Optional[Lines] = None
        self._importing = 0
        events = monitoring.events
        monitoring.use_tool_id(tool, "patchwright")
        monitoring.register_callback(tool, events.PY_RETURN, self._leave)
        monitoring.register_callback(tool, events.PY_UNWIND, self._leave)
        monitoring.register_callback(tool, events.PY_START, self._enter)
        monitoring.register_callback(tool, events.PY_RESUME, self._enter)
        monitoring.register_callback(tool, events.LINE, self._record)

    def start(self, lines: Lines) -> None:
        events = self._monitoring.events
        self._lines = lines
        self._importing = 0
        self._monitoring.set_events(self._tool, events.PY_START | events.PY_RESUME | events.PY_UNWIND)
        self._monitoring.restart_events()

    def stop(self) -> None:
        self._lines = None
        self._monitoring.set_events(self._tool, 0)

    def close(self) -> None:
        self.stop()
        self._monitoring.free_tool_id(self._tool)

    def _enter(self, code: CodeType, _offset: int) -> Any:
        events = self._monitoring.events
        if self._paths.find(code.co_filename) is None:
            return self._monitoring.DISABLE
        if code.co_name == "<module>":
            self._importing += 1
            self._monitoring.set_local_events(self._tool, code, events.PY_RETURN)
        else:
            self._monitoring.set_local_events(self._tool, code, events.LINE)
        return self._monitoring.DISABLE

    def _leave(self, code: CodeType, _offset: int, _result: Any) -> None:
        if code.co_name == "<module>" and self._paths.find(code.co_filename) is not None:
            self._importing -= 1

    def _record(self, code: CodeType, line: int) -> Any:
        if self._importing:
            return None
        path = self._paths.find(code.co_filename)
        if self._lines is not None and path is not None:
            self._lines.setdefault(path, set()).add(line)
        return self._monitoring.DISABLE


if __name__ == "__main__":
    main()
