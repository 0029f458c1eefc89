"""The runner with a scripted benchmark and scaffold, and a real directory."""

import asyncio
import tracemalloc
from pathlib import Path

from patchwright.evals.base import Workspace
from patchwright.evals.run.directory import RunDirectory
from patchwright.evals.run.runner import Runner
from patchwright.evals.run.tally import Tally
from patchwright.evals.run.work import Here, Job
from patchwright.evals.scaffolds.base import Outcome, Terms
from patchwright.schema.attempt import Attempt
from patchwright.schema.instance import Instance
from tests.evals.scripted import ScriptedBenchmark, ScriptedScaffold, facts_of, run_all, table


async def test_every_instance_is_attempted_as_often_as_asked_for(tmp_path: Path) -> None:
    made = await run_all(tmp_path / "run", ScriptedBenchmark(2), ScriptedScaffold({"s__1": "wrong"}), attempts=2)
    assert [(a.instance_id, a.number, a.resolved) for a in made] == [
        *(("s__0", 1, True), ("s__1", 1, False)),
        *(("s__0", 2, True), ("s__1", 2, False)),
    ]
    kept = tmp_path / "run" / "attempts" / "s__0" / "1"
    assert Attempt.model_validate_json((kept / "attempt.json").read_bytes()) == made[0]
    assert {path.name: path.read_text() for path in kept.iterdir() if path.suffix != ".json"} == {
        "patch.diff": "right",
        "grading.log": "graded",
    }
    assert list((tmp_path / "run" / "work").iterdir()) == []


async def test_a_crash_is_tried_once_more_and_then_counts(tmp_path: Path) -> None:
    scaffold = ScriptedScaffold({"s__0": "crash once", "s__1": "crash", "s__2": "error"})
    made = await run_all(tmp_path / "run", ScriptedBenchmark(4), scaffold, workers=2)
    facts = {a.instance_id: (a.exit_reason, a.tries, a.resolved) for a in made}
    assert facts == {
        "s__0": ("done", 2, True),
        "s__1": ("error", 2, False),
        "s__2": ("error", 2, False),
        "s__3": ("done", 1, True),
    }
    assert {a.instance_id: a.detail for a in made}["s__1"] == "RuntimeError: it crashed"
    assert all(a.seconds > 0 for a in made if a.instance_id == "s__1")


async def test_an_attempt_that_cannot_be_graded_is_an_error_and_keeps_its_patch(tmp_path: Path) -> None:
    (made,) = await run_all(tmp_path / "run", ScriptedBenchmark(1), ScriptedScaffold({"s__0": "no grade"}))
    assert (made.exit_reason, made.patch, made.grade, made.resolved) == ("error", "no grade", None, False)
    assert made.detail == "grading failed: BenchmarkError: the tests could not be started"


async def test_what_is_over_is_not_made_again(tmp_path: Path) -> None:
    benchmark, log = ScriptedBenchmark(3), tmp_path / "log"
    await run_all(tmp_path / "run", benchmark, ScriptedScaffold(log=log))
    (tmp_path / "run" / "attempts" / "s__1" / "1" / "attempt.json").unlink()
    made = await run_all(tmp_path / "run", benchmark, ScriptedScaffold(log=log))
    assert [attempt.instance_id for attempt in made] == ["s__1"]
    assert len(log.read_text().splitlines()) == 4


async def test_errors_can_be_forgotten_and_are_made_again(tmp_path: Path) -> None:
    benchmark = ScriptedBenchmark(2)
    await run_all(tmp_path / "run", benchmark, ScriptedScaffold({"s__1": "crash"}))
    assert RunDirectory(tmp_path / "run").forget_errors() == 1
    await run_all(tmp_path / "run", benchmark, ScriptedScaffold())
    assert table(tmp_path / "run") == {("s__0", 1): ("done", True), ("s__1", 1): ("done", True)}


async def test_while_an_attempts_files_are_removed_the_others_go_on(tmp_path: Path) -> None:
    turn = asyncio.Event()

    class Last(ScriptedScaffold):
        async def attempt(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path) -> Outcome:
            asyncio.get_running_loop().call_soon(turn.set)
            return await super().attempt(instance, workspace, terms, directory)

    benchmark = ScriptedBenchmark(1)
    await Here(benchmark, Last()).rollout(job_in(tmp_path / "run", benchmark))
    assert turn.is_set()
    assert not (tmp_path / "run" / "work" / "s__0-1").exists()


async def test_what_is_cut_off_leaves_no_files(tmp_path: Path) -> None:
    benchmark = ScriptedBenchmark(1)
    job = job_in(tmp_path / "run", benchmark)
    going_on = asyncio.create_task(Here(benchmark, ScriptedScaffold(wait_s=50)).rollout(job))
    while not (job.kept / "scaffold.log").exists():
        await asyncio.sleep(0.01)
    assert job.work.exists()
    going_on.cancel()
    await asyncio.gather(going_on, return_exceptions=True)
    assert not job.work.exists()


async def test_the_patches_of_a_run_and_of_those_beside_it_are_hidden(tmp_path: Path) -> None:
    hidden: list[Path] = []

    class Looking(ScriptedScaffold):
        async def attempt(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path) -> Outcome:
            hidden.extend(workspace.hidden)
            return await super().attempt(instance, workspace, terms, directory)

    (tmp_path / "no run").mkdir()
    benchmark = ScriptedBenchmark(1)
    await run_all(tmp_path / "one", benchmark, ScriptedScaffold())
    await run_all(tmp_path / "two", benchmark, Looking())
    assert set(hidden) == {tmp_path / "one", tmp_path / "two"}


async def test_a_thousand_instances_run_through_in_bounded_memory(tmp_path: Path) -> None:
    benchmark = ScriptedBenchmark(1000)
    scaffold = ScriptedScaffold(patch_chars=100_000)
    facts, directory = facts_of(benchmark), RunDirectory(tmp_path / "run")
    tracemalloc.start()
    made = 0
    try:
        with directory.open(facts):
            async for _ in Runner(facts, benchmark.instances(), directory, Here(benchmark, scaffold)).run(8):
                made += 1
        tally = Tally.of(facts, directory.attempts())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (made, tally.resolved, tally.total) == (1000, 1000, 1000)
    assert peak_bytes < 20_000_000  # of 100 MB of patches


def job_in(run: Path, benchmark: ScriptedBenchmark) -> Job:
    (instance,) = benchmark.instances()
    kept = run / "attempts" / instance.instance_id / "1"
    return Job(instance, Terms(60), run=run, work=run / "work" / f"{instance.instance_id}-1", kept=kept)


def test_a_tally_says_how_long_the_rest_takes() -> None:
    tally = Tally(total=10, over=4, over_before=2)
    assert tally.left_s(20) == 60
    assert Tally(total=10, over=4, over_before=4).left_s(20) is None
