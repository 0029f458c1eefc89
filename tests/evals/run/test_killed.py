"""Runners that are killed with SIGKILL in the middle, for real."""

import os
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil

from patchwright.evals.scaffolds.child import Child
from tests.engines.waiting import has_ended, wait_until
from tests.evals.scripted import table

COUNT = 60
KILLS = 10
ROOT = Path(__file__).parents[3]


def start(out: Path, count: int = COUNT, workers: int = 2, wait_s: float = 0.05) -> subprocess.Popen[bytes]:
    arguments = [str(out), str(count), str(workers), str(wait_s)]
    return subprocess.Popen([sys.executable, "-m", "tests.evals.scripted", *arguments], cwd=ROOT)


def over(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.glob("attempts/*/*/attempt.json")}


def has_moved(runner: subprocess.Popen[bytes], out: Path, before: int) -> bool:
    return runner.poll() is not None or len(over(out)) > before


def test_ten_kills_lose_no_attempt_that_was_over(tmp_path: Path) -> None:
    out = tmp_path / "run"
    kept: dict[Path, bytes] = {}
    moments = random.Random(7)
    for _ in range(KILLS):
        with start(out) as runner:
            wait_until(partial(has_moved, runner, out, len(kept)), timeout_s=60)
            time.sleep(moments.uniform(0, 0.2))
            runner.kill()
        now = over(out)
        assert kept.items() <= now.items()
        kept = now
    with start(out) as runner:
        assert runner.wait(timeout=120) == 0
    assert kept.items() <= over(out).items()
    assert table(out) == {(f"s__{n}", 1): ("done", True) for n in range(COUNT)}
    assert list((out / "work").iterdir()) == []


def test_nothing_goes_on_when_the_runner_is_killed(tmp_path: Path) -> None:
    with start(tmp_path / "run", workers=2, wait_s=300) as runner:
        process = psutil.Process(runner.pid)

        def sleeping() -> list[psutil.Process]:
            return [child for child in process.children(recursive=True) if child.name() == "sleep"]

        wait_until(lambda: len(sleeping()) == 2, timeout_s=60)
        children = sleeping()
        runner.kill()
    wait_until(lambda: all(map(has_ended, children)))


async def test_a_child_that_takes_too_long_dies_with_its_process_group(tmp_path: Path) -> None:
    output = tmp_path / "output"
    child = Child(["bash", "-c", "sleep 300 & echo $!; wait"], tmp_path, os.environ, output, output)
    assert await child.run(timeout_s=1.5) is None
    sleep_pid = int(output.read_text())
    wait_until(lambda: not psutil.pid_exists(sleep_pid) or has_ended(psutil.Process(sleep_pid)))


async def test_a_child_says_how_it_ended(tmp_path: Path) -> None:
    output = tmp_path / "output"
    child = Child(["bash", "-c", "cat; exit 3"], tmp_path, os.environ, output, output, stdin=b"hello")
    assert await child.run(timeout_s=30) == 3
    assert output.read_text() == "hello"
