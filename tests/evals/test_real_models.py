"""A benchmark with a real engine: what the model makes of it is its own affair, what is shared is ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evals.lookalikes import quixbugs_checkout
from tests.evals.scripted import table

PATCHWRIGHT = [sys.executable, "-m", "patchwright.cli.main"]

pytestmark = pytest.mark.model


def patchwright(environment: dict[str, str], *arguments: str) -> str:
    own = environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [*PATCHWRIGHT, *arguments]
    return subprocess.run(command, env=own, check=True, capture_output=True, text=True, timeout=240).stdout


def test_all_attempts_share_one_engine_that_outlives_them(environment: dict[str, str], tmp_path: Path) -> None:
    checkout, out = quixbugs_checkout(tmp_path / "quixbugs"), tmp_path / "run"
    arguments = [f"quixbugs:{checkout}", "--model", "smollm2-135m", "--scaffold", "run", "--out", str(out)]
    try:
        patchwright(environment, "eval", "run", *arguments, "--attempts", "3", "--workers", "2", "--time-limit", "20")
        (engine,) = json.loads(patchwright(environment, "engine", "ps", "--json"))
    finally:
        patchwright(environment, "engine", "stop", "--all")
    assert engine["model"] == "smollm2-135m"
    assert table(out).keys() == {("quixbugs__double", number) for number in (1, 2, 3)}
    assert all(reason != "error" for reason, _ in table(out).values())
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["engines"]
