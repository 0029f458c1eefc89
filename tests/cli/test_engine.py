import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from tests.engines.tiny_gguf import write_tiny_gguf


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for engine in running_engines(tmp_path):
        stop_engine(engine, tmp_path)


@pytest.fixture
async def tiny_engine(state_dir: Path) -> LlamaCpp:
    path = write_tiny_gguf(state_dir / "tiny.gguf")
    engine = LlamaCpp(path, LlamaCppSettings(threads=1, context_tokens=1024), state_dir)
    await engine.connect()
    return engine


def patchwright(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATCHWRIGHT_STATE_DIR": str(state_dir), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "patchwright.cli.main", "engine", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_ps_lists_the_engine_for_people_and_for_programs(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    (engine,) = running_engines(state_dir)
    table = patchwright(state_dir, "ps").stdout.splitlines()
    (listed,) = json.loads(patchwright(state_dir, "ps", "--json").stdout)
    assert table[1].split()[:7] == [engine.id, "llama.cpp", str(engine.pid), "1024", "f16", "4", "1"]
    assert (listed["id"], listed["pid"], listed["url"]) == (engine.id, engine.pid, engine.url)
    assert "api_key" not in listed


def test_logs_can_be_read_and_followed_until_the_engine_ends(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    environment = {"PATCHWRIGHT_STATE_DIR": str(state_dir), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "patchwright.cli.main", "engine", "logs", "tiny", "--follow"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        before = follower.stdout.readline()
        with running_engines(state_dir)[0].log.open("a") as log:
            log.write("a later line\n")
        assert patchwright(state_dir, "stop", "tiny").returncode == 0
        after = follower.stdout.read()
    assert "1024 tokens for 4 slots, KV cache in f16, 1 threads" in before
    assert "a later line" in after
    assert patchwright(state_dir, "logs").stdout == before + after


def test_stop_ends_every_engine_and_says_which(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    (engine,) = running_engines(state_dir)
    stopped = patchwright(state_dir, "stop", "--all")
    assert (stopped.returncode, stopped.stderr) == (0, f"stopped {engine.id}\n")
    assert running_engines(state_dir) == []


def test_stop_of_what_does_not_run_is_an_error(state_dir: Path) -> None:
    stopped = patchwright(state_dir, "stop", "tiny")
    assert stopped.returncode == 3
    assert stopped.stderr.startswith("patchwright: no engine tiny runs\nhint: ")
