"""How many instances are resolved: python benchmarks/resolving.py BENCH [--repos DIR] [--mode MODE] [--out FILE]

BENCH as `patchwright eval run` takes it: quixbugs:CHECKOUT, or a file of rows; or reported:CHECKOUT, programs of
QuixBugs with an issue that shows one call, and no test that fails. Each instance has 180 s, and counts when
the benchmark's own tests say so. Modes:

greedy    one answer at temperature 0 for the place that localisation finds first
best-of-8 that answer and seven at temperature 0.8; resolved when any of them is, however one would choose among them
resolve   what `patchwright resolve` does, and without one of its parts: no-coverage, no-reproduction, no-mechanical,
          no-refinement; whether the first candidate that stood is resolved is said, too, and whether a better choice
          was there: another candidate with as good a word that is resolved

With --misses FILE:MODE, of the rows of an earlier run only those that are not resolved there.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from patchwright.agent.deadline import Deadline
from patchwright.cli.assemble import connected, engine_of
from patchwright.config import load_settings
from patchwright.evals.base import Benchmark, Workspace
from patchwright.evals.registry import Places, benchmark_named
from patchwright.evals.scaffolds.patchwright import sandboxed
from patchwright.policy.base import Policy
from patchwright.repo.index.index import Index
from patchwright.repo.work_tree import files_of
from patchwright.resolve.budget import Budget
from patchwright.resolve.judge import Trees
from patchwright.resolve.pipeline import Pipeline
from patchwright.resolve.plan import Ask, Order, asks
from patchwright.resolve.propose import Proposer
from patchwright.resolve.resolution import Plan, Resolution
from patchwright.resolve.state import ResolveState
from patchwright.resolve.strategy import Batch
from patchwright.schema.events import Proposed, ResolveFinished
from patchwright.schema.instance import Instance, Prediction
from patchwright.schema.resolution import Location
from reported import reported

Row = dict[str, Any]

RIVALS = 8


def one_greedy(locations: Sequence[Location]) -> list[Ask]:
    return [Ask("rewrite", location, 0.0, answers=1) for location in locations[:1]]


def best_of_8(locations: Sequence[Location]) -> list[Ask]:
    samples = [Ask("explained", location, 0.8, answers=answers) for location in locations[:1] for answers in (4, 3)]
    return [*one_greedy(locations), *samples]


PLAIN: dict[str, Order] = {"greedy": one_greedy, "best-of-8": best_of_8}
ORDERS: dict[str, Order] = {
    "no-mechanical": partial(asks, mechanical=False),
    "no-refinement": partial(asks, refine=False),
}


class Attempt:
    """One instance, made ready, and what is made of it within the time."""

    def __init__(self, benchmark: Benchmark, instance: Instance, directory: Path, mode: str, time_s: float) -> None:
        self._benchmark = benchmark
        self._instance = instance
        self._directory = directory
        self._mode = mode
        self._time_s = time_s
        self._state = ResolveState()
        self._graded: dict[str, bool] = {}

    async def row(self) -> Row:
        (self._directory / "work").mkdir()
        workspace = await self._benchmark.prepare(self._instance, self._directory / "work")
        settings = load_settings()
        async with connected(engine_of(settings), settings) as policy:
            started = time.monotonic()
            with Index(self._directory / "index.sqlite") as index:
                resolution = await self._resolution(policy, index, workspace)
                found = await (self._plain(resolution) if self._mode in PLAIN else self._resolved(resolution))
        seconds = {stage: round(taken_s, 2) for stage, taken_s in resolution.budget.seconds.items()}
        row: Row = {"instance_id": self._instance.instance_id, "mode": self._mode, "stages": seconds}
        places = [f"{place.path}:{place.name}" for place in self._state.locations or ()]
        return row | {"seconds": round(time.monotonic() - started, 1), "locations": places[:3]} | found

    async def _resolution(self, policy: Policy, index: Index, workspace: Workspace) -> Resolution:
        order = (PLAIN | ORDERS).get(self._mode, asks)
        sandbox = sandboxed(load_settings().sandbox, workspace)
        return Resolution(
            policy=policy,
            trees=Trees("bubblewrap", workspace.tree, sandbox),
            index=index,
            files=await files_of(workspace.tree),
            plan=Plan(
                workspace.test_command,
                tests_given=workspace.test_command is not None,
                coverage=self._mode != "no-coverage",
                reproduction=self._mode != "no-reproduction",
            ),
            budget=Budget(self._time_s),
            deadline=Deadline(self._time_s, asyncio.Event()),
            strategy=Pipeline(Proposer(policy, seed=0), workspace.tree, order),
        )

    async def _resolved(self, resolution: Resolution) -> Row:
        requests: dict[int, int] = {}
        async for event in resolution.run(self._instance.problem_statement):
            self._state.add(event)
            if isinstance(event, Proposed):
                requests.setdefault(event.candidate.id, self._state.requests)
            if isinstance(event, ResolveFinished):
                return await self._finished(event) | {"requests": requests.get(event.candidate or 0)}
        raise AssertionError

    async def _finished(self, event: ResolveFinished) -> Row:
        state = self._state
        best = state.candidates.get(event.candidate or 0)
        standing = sorted(state.agreement.standing, key=lambda candidate: candidate.id)
        return {
            "word": event.word,
            "why": event.why,
            "by": best.source if best else "",
            "reproduction": state.reproduction.source if state.reproduction else "",
            "candidates": len(state.candidates),
            "patch": event.patch,
            "resolved": await self._grade(event.patch),
            "first": await self._grade(standing[0].patch if standing else ""),
            "any_as_good": await self._any_as_good(event),
        }

    async def _any_as_good(self, event: ResolveFinished) -> bool:
        """Whether the chosen candidate, or one with the same word, is resolved."""
        agreement = self._state.agreement
        rivals = [each for each in agreement.standing if agreement.word(each.id) == event.word]
        for patch in (event.patch, *(rival.patch for rival in rivals[:RIVALS])):
            if await self._grade(patch):
                return True
        return False

    async def _plain(self, resolution: Resolution) -> Row:
        """Every answer, up to the request whose answers resolve the instance. Grading takes none of the time."""
        tried = 0
        async with aclosing(self._batches(resolution)) as batches:
            async for patches in batches:
                tried += len(patches)
                grades = await asyncio.gather(*map(self._grade, dict.fromkeys(patches)))
                if any(grades):
                    patch = next(patch for patch, resolved in self._graded.items() if resolved)
                    return {"resolved": True, "patch": patch, "candidates": tried, "seconds": self._spent(resolution)}
        return {"resolved": False, "candidates": tried, "seconds": self._spent(resolution)}

    async def _batches(self, resolution: Resolution) -> AsyncGenerator[list[str]]:
        issue = self._instance.problem_statement
        async with aclosing(resolution.run(issue)) as events:
            async for event in events:
                self._state.add(event)
                if self._state.locations is not None and self._state.reproduced is not None:
                    break
        async with aclosing(resolution.strategy.batches(issue, self._state)) as batches:
            with suppress(TimeoutError):
                while batch := await self._timed(resolution, anext(batches, None)):
                    yield [draft.patch for draft in batch.drafts]

    async def _timed(self, resolution: Resolution, batch: Awaitable[Batch | None]) -> Batch | None:
        started = time.monotonic()
        try:
            return await asyncio.wait_for(batch, self._time_s - self._spent(resolution))
        finally:
            resolution.budget.took("propose", time.monotonic() - started)

    def _spent(self, resolution: Resolution) -> float:
        return round(sum(resolution.budget.seconds.values()), 1)

    async def _grade(self, patch: str) -> bool:
        if patch not in self._graded:
            name = self._instance.instance_id
            with tempfile.TemporaryDirectory(dir=self._directory) as directory:
                prediction = Prediction(instance_id=name, model_name_or_path=self._mode, model_patch=patch)
                self._graded[patch] = (
                    bool(patch) and (await self._benchmark.grade(self._instance, prediction, Path(directory))).resolved
                )
        return self._graded[patch]


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bench")
    parser.add_argument("--repos", type=Path)
    parser.add_argument("--mode", default="resolve")
    parser.add_argument("--only", default="", help="instance ids, with commas")
    parser.add_argument("--misses", default="")
    parser.add_argument("--time", type=float, default=180)
    parser.add_argument("--out", type=Path, help="append a line of JSON for each instance; those in it are skipped")
    arguments = parser.parse_args()
    settings = load_settings()
    places = Places(settings.sandbox.path, settings.data_dir / "evals", arguments.repos, settings.sandbox)
    benchmark = _benchmark(arguments.bench, places)
    done = {row["instance_id"]: row for row in rows_of(arguments.out, arguments.mode)}
    for instance in benchmark.instances():
        if instance.instance_id in done or not is_wanted(instance.instance_id, arguments.only, arguments.misses):
            continue
        with tempfile.TemporaryDirectory() as directory:
            row = await Attempt(benchmark, instance, Path(directory), arguments.mode, arguments.time).row()
        done[instance.instance_id] = row
        if arguments.out:
            with arguments.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in row["stages"].items())
        said = "resolved" if row["resolved"] else "not resolved"
        print(f"{instance.instance_id}: {said} {row.get('word', '')} {row['seconds']:.0f} s ({stages})", flush=True)
    print_means(arguments.mode, list(done.values()))


def _benchmark(reference: str, places: Places) -> Benchmark:
    name, _, checkout = reference.partition(":")
    return reported(Path(checkout), places.path) if name == "reported" else benchmark_named(reference, places)


def is_wanted(instance_id: str, only: str, misses: str) -> bool:
    if misses:
        file, _, mode = misses.rpartition(":")
        return any(row["instance_id"] == instance_id and not row["resolved"] for row in rows_of(Path(file), mode))
    return not only or instance_id in only.split(",")


def rows_of(out: Path | None, mode: str) -> list[Row]:
    if out is None or not out.exists():
        return []
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    return [row for row in rows if row["mode"] == mode]


def print_means(mode: str, rows: Sequence[Row]) -> None:
    resolved = sum(row["resolved"] for row in rows)
    mean_s = sum(row["seconds"] for row in rows) / max(1, len(rows))
    print(f"{mode}: {resolved} of {len(rows)} resolved, {mean_s:.0f} s on average")
    for word, number in Counter(row["word"] for row in rows if "word" in row).items():
        right = sum(row["resolved"] for row in rows if row.get("word") == word)
        print(f"  {word}: {number}, {right} of them resolved")
    first = sum(row.get("first", False) for row in rows)
    print(f"  the first candidate that stood: {first} resolved")
    chosen = Counter((row["requests"], row["by"]) for row in rows if row["resolved"] and row.get("by"))
    for (requests, source), number in sorted(chosen.items()):
        print(f"  {number} by a {source} candidate, after {requests} requests")
    for stage in dict.fromkeys(stage for row in rows for stage in row["stages"]):
        print(f"  {stage}: {sum(row['stages'].get(stage, 0) for row in rows) / len(rows):.1f} s")


if __name__ == "__main__":
    asyncio.run(main())
