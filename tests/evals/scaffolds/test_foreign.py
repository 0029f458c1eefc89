"""Foreign scaffolds with a stand-in that is as small as one can be: its environment, sandbox and endpoint are real."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from patchwright.engines.remote import Remote
from patchwright.errors import BenchmarkError
from patchwright.evals.base import Workspace
from patchwright.evals.scaffolds.base import Outcome, Terms
from patchwright.evals.scaffolds.environment import Environment
from patchwright.evals.scaffolds.foreign import Foreign
from patchwright.evals.scaffolds.recipes import Errand, Recipe, Start
from patchwright.lock import try_lock
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Instance
from tests.cli.endpoint import Endpoint, Texts, serving
from tests.conftest import FIXED
from tests.engines.waiting import wait_until

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
AGENT = """
import json, os, subprocess, sys, urllib.request
order = json.load(open(sys.argv[1]))
body = json.dumps({"model": "whatever", "messages": [{"role": "user", "content": order["task"]}]}).encode()
request = urllib.request.Request(order["url"] + "/chat/completions", body, {"Content-Type": "application/json"})
answer = None
while answer is None:
    try:
        answer = json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        if error.code != 429:
            raise
open("adder.py", "w").write(answer["choices"][0]["message"]["content"])
open("notes.txt", "w").write("mine")
try_it = subprocess.run([sys.executable, "-c", "import urllib.request"], stderr=subprocess.PIPE, text=True)
print("seen:", sorted(os.listdir(order["secret"])) if os.path.exists(order["secret"]) else "nothing")
print("its commands:", try_it.stderr.strip() or "work")
assert "fail" not in answer["choices"][0]["message"]["content"], "the agent failed"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    def start(errand: Errand) -> Start:
        order = {"task": errand.task, "url": errand.base_url, "secret": str(tmp_path / "secret")}
        command = (*errand.written("agent.py"), str(errand.files / "order.json"))
        return Start(command, {"AGENT": "1"}, {"agent.py": AGENT, "order.json": json.dumps(order)})

    return Recipe(Environment("stand-in", PYTHON, ()), start, leaves=("notes.txt",))


async def attempt(
    recipe: Recipe, endpoint: Endpoint, repository: Path, place: Path, time_limit_s: float = 60
) -> Outcome:
    (place / "kept").mkdir()
    (place / "secret").mkdir()
    scaffold = Foreign(
        name="stand-in",
        recipe=recipe,
        engine=Remote(endpoint.url),
        environments=place / "environments",
        sandbox=SandboxSettings(),
        variables=dict(os.environ),
    )
    workspace = Workspace(
        repository,
        os.environ["PATH"],
        {"PYTHONPATH": str(repository)},
        hidden=(place / "secret",),
        test_command="python3 check.py",
    )
    instance = Instance(instance_id="a__b", repo="a/b", base_commit="", problem_statement="It subtracts.", patch="")
    return await scaffold.attempt(instance, workspace, Terms(time_limit_s), place / "kept")


async def test_its_patch_steps_and_tokens_are_taken(recipe: Recipe, repository: Path, tmp_path: Path) -> None:
    answer: Texts = [FIXED]
    with serving(answer) as endpoint:
        outcome = await attempt(recipe, endpoint, repository, tmp_path)
    assert (outcome.exit_reason, outcome.detail, outcome.steps) == ("done", "", 1)
    assert "+    return a + b\n" in outcome.patch
    assert "notes.txt" not in outcome.patch
    assert (tmp_path / "kept" / "scaffold.log").read_text() == "seen: nothing\nits commands: work\n"
    (request,) = endpoint.requests
    assert request["model"] == "scripted"
    assert request["messages"][0]["content"].endswith("`python3 check.py` runs the tests.")


async def test_a_broken_library_in_the_work_tree_breaks_only_what_it_starts(
    recipe: Recipe, repository: Path, tmp_path: Path
) -> None:
    (repository / "urllib").mkdir()
    (repository / "urllib" / "__init__.py").write_text("raise SystemExit('the bug of the instance')")
    with serving([FIXED]) as endpoint:
        outcome = await attempt(recipe, endpoint, repository, tmp_path)
    assert (outcome.exit_reason, outcome.detail, outcome.steps) == ("done", "", 1)
    assert (tmp_path / "kept" / "scaffold.log").read_text().endswith("its commands: the bug of the instance\n")


async def test_a_crash_is_an_error_with_its_last_words(recipe: Recipe, repository: Path, tmp_path: Path) -> None:
    with serving(["fail"]) as endpoint:
        outcome = await attempt(recipe, endpoint, repository, tmp_path)
    assert outcome.exit_reason == "error"
    assert outcome.detail == "exit code 1 after 1 steps: AssertionError: the agent failed"


async def test_one_that_does_not_end_is_ended(recipe: Recipe, repository: Path, tmp_path: Path) -> None:
    with serving() as endpoint:  # never answers
        outcome = await attempt(recipe, endpoint, repository, tmp_path, time_limit_s=3)
    assert (outcome.exit_reason, outcome.detail, outcome.steps) == ("limit", "time_limit", 0)


@pytest.mark.parametrize(("status", "failure"), [(429, "429 Too Many Requests"), (401, "401 Unauthorized")])
async def test_an_endpoint_that_only_refuses_is_no_limit_and_no_crash_of_the_scaffold(
    status: int, failure: str, recipe: Recipe, repository: Path, tmp_path: Path
) -> None:
    with serving(*[["nothing"]] * 10_000) as endpoint:
        endpoint.status = status
        outcome = await attempt(recipe, endpoint, repository, tmp_path, time_limit_s=3)
    assert (outcome.exit_reason, outcome.steps) == ("error", 0)
    asked = len(endpoint.requests)
    # The last may have been on its way when time was up.
    assert outcome.detail in {
        f"the endpoint failed all of {count} requests, the last with {failure}" for count in (asked, asked - 1)
    }


async def test_an_environment_is_made_once(tmp_path: Path) -> None:
    environment = Environment("stand-in", PYTHON, ())
    place = await environment.made(tmp_path, os.environ)
    made = (place / "complete").stat().st_mtime_ns
    assert await environment.made(tmp_path, os.environ) == place
    assert (place / "complete").stat().st_mtime_ns == made


async def test_one_that_was_half_made_is_made_again(tmp_path: Path) -> None:
    environment = Environment("stand-in", PYTHON, ())
    place = await environment.made(tmp_path, os.environ)
    (place / "complete").unlink()
    (place / "bin" / "python").unlink()
    assert (await environment.made(tmp_path, os.environ) / "bin" / "python").exists()


async def test_an_environment_is_compiled_for_it_is_read_only_where_it_is_used(tmp_path: Path) -> None:
    place = await Environment("stand-in", PYTHON, ("iniconfig",)).made(tmp_path, os.environ)
    assert list(place.glob("lib/python*/site-packages/iniconfig/__pycache__/*.pyc"))


SLOW_BACKEND = """
import pathlib, time
pathlib.Path("{started}").touch()
time.sleep(120)
"""
MAKE = """
import asyncio, os, sys
from pathlib import Path
from patchwright.evals.scaffolds.environment import Environment
asyncio.run(Environment("slow", sys.argv[1], (sys.argv[2],)).made(Path(sys.argv[3]), os.environ))
"""


def test_what_a_killed_maker_started_keeps_the_place(tmp_path: Path) -> None:
    project, started = tmp_path / "project", tmp_path / "started"
    project.mkdir()
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (project / "pyproject.toml").write_text(f'{build}[project]\nname = "slow"\nversion = "1"\n')
    (project / "backend.py").write_text(SLOW_BACKEND.format(started=started))
    made = tmp_path / "made"
    with subprocess.Popen([sys.executable, "-c", MAKE, PYTHON, str(project), str(made)]) as maker:
        wait_until(started.exists, timeout_s=90)
        orphans = psutil.Process(maker.pid).children(recursive=True)
        maker.kill()
    [lock] = made.glob("*.lock")
    try:
        with try_lock(lock) as held:
            assert held is None
    finally:
        for orphan in orphans:
            with suppress(psutil.NoSuchProcess):
                orphan.kill()

    def is_free() -> bool:
        with try_lock(lock) as held:
            return held is not None

    wait_until(is_free)


async def test_what_cannot_be_installed_is_said_in_uvs_words(tmp_path: Path) -> None:
    environment = Environment("stand-in", PYTHON, ("./no-such-directory",))
    with pytest.raises(BenchmarkError, match=r"(?s)making the environment of stand-in failed: .*no-such-directory"):
        await environment.made(tmp_path, os.environ)
