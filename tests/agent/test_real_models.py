"""The agent with real models on the real engine: recovery from a crash, the prefix cache, and a bug that is fixed."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from patchwright.agent.limits import Limits
from patchwright.agent.profile import SMALL
from patchwright.cli.summary import Summary
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.policy.openai import OpenAIPolicy
from patchwright.schema.events import AnyEvent, Replied, StepFailed, TextArrived
from tests.conftest import TEST_COMMAND
from tests.engines.waiting import has_ended

from .harness import agent_in, finish_of

pytestmark = pytest.mark.model

ModelPath = Callable[[str], Path]


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for engine in running_engines(tmp_path):
        stop_engine(engine, tmp_path)


async def test_an_engine_killed_in_mid_answer_is_restarted_once_and_the_run_goes_on(
    repository: Path, state_dir: Path, model_path: ModelPath
) -> None:
    engine = LlamaCpp(model_path("smollm2-135m"), LlamaCppSettings(), state_dir)
    events: list[AnyEvent] = []
    killed: psutil.Process | None = None
    killed_s = failed_s = 0.0
    async with (
        OpenAIPolicy.connected(engine.connect) as policy,
        agent_in(repository, policy, profile=SMALL, limits=Limits(steps=2)) as agent,
    ):
        async for event in agent.run("Explain what adder.py does."):
            events.append(event)
            if isinstance(event, TextArrived) and killed is None:
                killed, killed_s = psutil.Process(running_engines(state_dir)[0].pid), time.monotonic()
                killed.kill()
            if isinstance(event, StepFailed):
                failed_s = time.monotonic()
    assert killed is not None
    failures = [event.error for event in events if isinstance(event, StepFailed)]
    assert len(failures) == 1
    assert "stopped answering" in failures[0]
    assert failed_s - killed_s < 2
    assert has_ended(killed)
    assert any(isinstance(event, Replied) for event in events)
    assert finish_of(events).reason in {"step_limit", "done"}  # whatever the little model has to say, it could say it
    assert len(running_engines(state_dir)) == 1


async def test_the_later_requests_of_a_run_come_from_the_prefix_cache(
    repository: Path, state_dir: Path, model_path: ModelPath
) -> None:
    (repository / "AGENTS.md").write_text("Functions are short. Names say what they mean.\n" * 60)
    engine = LlamaCpp(model_path("qwen2.5-coder-0.5b"), LlamaCppSettings(context_tokens=8192), state_dir)
    summary = Summary()
    async with (
        OpenAIPolicy.connected(engine.connect) as policy,
        agent_in(repository, policy, profile=SMALL, limits=Limits(steps=4)) as agent,
    ):
        async for event in agent.run("Say what adder.py does, and look at every file before you finish."):
            summary.add(event)
    assert summary.cached_share is not None
    assert summary.cached_share >= 0.9


def test_the_1_5b_fixes_a_bug_from_the_command_line(
    repository: Path, environment: dict[str, str], state_dir: Path
) -> None:
    command = [sys.executable, "-m", "patchwright.cli.main", "run", "add() in adder.py subtracts. It has to add."]
    options = ["--model", "qwen2.5-coder-1.5b", "--test-command", TEST_COMMAND, "--max-steps", "5"]
    environment = environment | {"PATCHWRIGHT_STATE_DIR": str(state_dir)}
    result = subprocess.run(
        [*command, *options], cwd=repository, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "failed (1) before, passed after" in result.stdout
    assert re.search(r"^\+    return a \+ b$", result.stdout, re.MULTILINE)
