"""Locks between processes, which are real ones here."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from patchwright.lock import locked, locked_within, try_lock

HOLDS = """
import sys
from pathlib import Path
from patchwright.lock import try_lock
with try_lock(Path(sys.argv[1])) as lock:
    print("held" if lock is not None else "busy", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(path: Path) -> Generator["subprocess.Popen[str]"]:
    """A process that has tried to take the lock, and keeps it until its input ends."""
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def is_free(path: Path) -> bool:
    with try_lock(path) as lock:
        return lock is not None


def test_one_process_of_all_has_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with another(path) as first:
        assert said(first) == "held"
        assert not is_free(path)
        first.kill()
        first.wait()
        with try_lock(path) as lock:
            assert lock is not None
            with another(path) as second:
                assert said(second) == "busy"


def test_a_child_that_inherits_it_goes_on_holding_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with try_lock(path) as lock:
        assert lock is not None
        child = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    assert not is_free(path)
    child.kill()
    child.wait()
    assert is_free(path)


def test_who_waits_says_so_and_gets_it_when_the_other_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waits: list[str] = []
    with another(path) as other:
        assert said(other) == "held"

        def let_go() -> None:
            waits.append("waits")
            other.kill()

        with locked(path, let_go) as descriptor:
            os.fstat(descriptor)
    with locked(path, let_go):
        pass
    assert waits == ["waits"]


async def test_patience_ends_with_the_error_that_was_given_and_leaves_nothing_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with another(path) as other:
        assert said(other) == "held"
        with pytest.raises(KeyError, match="busy"):
            async with locked_within(path, 0.1, KeyError("busy")):
                pytest.fail("it is held")
    async with locked_within(path, 0.1, KeyError("busy")):
        assert not is_free(path)
