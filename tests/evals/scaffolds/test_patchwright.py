"""Patchwright's own scaffolds in their child processes, with a scripted endpoint."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from patchwright.cli.assemble import engine_of
from patchwright.cli.eval_run import scaffold_named
from patchwright.config import load_settings
from patchwright.errors import ConfigError
from patchwright.evals.quixbugs import quixbugs
from patchwright.evals.scaffolds.base import Outcome, Terms
from patchwright.schema.messages import Usage
from tests.cli.endpoint import Call, serving
from tests.evals.lookalikes import quixbugs_checkout
from tests.policy.http_server import status
from tests.serving.endpoint import OpenAIServer

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
EDIT: Call = (
    "str_replace_editor",
    {"command": "str_replace", "path": "python_programs/double.py", "old_str": " + 1", "new_str": ""},
)
FINISH: Call = ("finish", {"message": "double doubles now"})


async def attempt(name: str, url: str, place: Path, time_limit_s: float = 60) -> Outcome:
    benchmark = quixbugs(quixbugs_checkout(place / "quixbugs"), PATH)
    (instance,) = benchmark.instances()
    settings = load_settings(base_url=url, state_dir=place / "state")
    scaffold = scaffold_named(name, settings, engine_of(settings))
    (place / "kept").mkdir()
    workspace = await benchmark.prepare(instance, place / "work")
    return await scaffold.attempt(instance, workspace, Terms(time_limit_s), place / "kept")


async def test_run_leaves_its_patch_its_events_and_nothing_else(tmp_path: Path) -> None:
    with serving(EDIT, FINISH) as endpoint:
        outcome = await attempt("run", endpoint.url, tmp_path)
    assert (outcome.exit_reason, outcome.detail, outcome.steps) == ("done", "done", 2)
    assert "+    return n + n\n" in outcome.patch
    assert outcome.usage == Usage(prompt_tokens=300, cached_tokens=95, completion_tokens=10)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["events.jsonl", "scaffold.log"]
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["engines"]


async def test_resolve_leaves_the_patch_that_it_verified(tmp_path: Path) -> None:
    with serving(EDIT, FINISH) as endpoint:
        outcome = await attempt("resolve", endpoint.url, tmp_path)
    assert (outcome.exit_reason, outcome.detail, outcome.steps) == ("done", "verified", 2)
    assert "+    return n + n\n" in outcome.patch


async def test_a_profile_and_a_strategy_are_chosen_by_the_name(tmp_path: Path) -> None:
    for name in ("run:small", "resolve:pipeline"):
        place = tmp_path / name.partition(":")[0]
        place.mkdir()
        with serving() as endpoint:  # silence
            await attempt(name, endpoint.url, place, time_limit_s=15)
        # What suits an endpoint would offer it tools.
        assert "tools" not in endpoint.requests[0]
    assert '"profile":"small"' in (tmp_path / "run" / "kept" / "events.jsonl").read_text()


def test_a_scaffold_is_named_as_it_was_given_or_told_which_there_are() -> None:
    settings = load_settings(base_url="http://127.0.0.1:9/v1")
    engine = engine_of(settings)
    for name in ("run", "run:devstral", "run:small", "resolve", "resolve:pipeline", "resolve:agent", "aider"):
        assert scaffold_named(name, settings, engine).name == name
    for name in ("run:large", "resolve:", "aider:small"):
        with pytest.raises(ConfigError, match=f"no scaffold {name}") as refused:
            scaffold_named(name, settings, engine)
        assert "run, run:devstral, run:small, resolve, resolve:pipeline, resolve:agent, mini" in str(refused.value.hint)


async def test_a_time_limit_is_a_limit_and_keeps_what_was_changed(tmp_path: Path) -> None:
    with serving(EDIT) as endpoint:  # and then silence
        outcome = await attempt("run", endpoint.url, tmp_path, time_limit_s=20)
    assert (outcome.exit_reason, outcome.detail, outcome.steps) == ("limit", "time_limit", 1)
    assert "+    return n + n\n" in outcome.patch


async def test_what_the_endpoint_answered_is_said_of_a_crash(tmp_path: Path) -> None:
    """It answers, and has no memory left when it is asked for more than its models."""

    class Full(OpenAIServer):
        async def _answer(self, writer: asyncio.StreamWriter) -> None:
            writer.write(status(500, {"error": {"message": "out of memory"}}))

    told = Full("m", 16_000)
    server = await asyncio.start_server(told.handle, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    async with server:
        outcome = await attempt("run", told.url, tmp_path)
        told.broken = status(503, {"error": {"message": "busy"}})
        (tmp_path / "busy").mkdir()
        busy = await attempt("run", told.url, tmp_path / "busy")
    assert (outcome.exit_reason, busy.exit_reason) == ("error", "error")
    assert outcome.detail.startswith("infrastructure: ")
    assert "out of memory" in outcome.detail
    assert busy.detail.startswith("exit code 3: patchwright: ")
    assert busy.detail.endswith("answers 503")


async def test_an_endpoint_that_is_not_there_is_an_error_in_its_own_words(tmp_path: Path) -> None:
    outcome = await attempt("run", "http://127.0.0.1:9/v1", tmp_path)
    assert (outcome.exit_reason, outcome.patch) == ("error", "")
    assert "exit code 3" in outcome.detail
