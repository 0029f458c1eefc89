"""Prints how often localisation finds the file and the function that the gold patch changes.

    python benchmarks/localise.py ROWS.jsonl [--repos DIR] [--program]

ROWS.jsonl: rows of the SWE-bench family; DIR: git mirrors. Rows whose source is not there are counted and left out.
From the issue's text alone; with --program, also with what the issue's own program executes, compared with the tests
of the tree, where these may be run (rows of `patchwright eval forge`). Found at k: one of the gold patch's files (of
its functions) is among the first k files (locations). A gold function is the innermost symbol around a changed line.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from patchwright.config import load_settings
from patchwright.errors import BenchmarkError
from patchwright.evals.base import Workspace
from patchwright.evals.registry import Places, benchmark_named
from patchwright.evals.trees import Trees
from patchwright.repo.index.index import Index
from patchwright.repo.testing.suite import Suite
from patchwright.repo.work_tree import files_of
from patchwright.resolve.issue import IssueFacts, read_issue
from patchwright.resolve.judge import Trees as Copies
from patchwright.resolve.localise import localise
from patchwright.resolve.reproduce import Reproducer
from patchwright.resolve.spectrum import suspiciousness
from patchwright.schema.instance import Instance

CUTS = (1, 5, 10)
LOCATIONS = 200
TESTS_S = 600.0
_HUNK = re.compile(r"@@ -(\d+)")

Ranks = dict[str, tuple[int, int]]
"""By what localisation had to go by: the rank of the first gold file and function, from 1; 0 where there is none."""


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows")
    parser.add_argument("--repos", type=Path)
    parser.add_argument("--program", action="store_true")
    arguments = parser.parse_args()
    settings = load_settings()
    places = Places(settings.sandbox.path, settings.data_dir / "evals", arguments.repos, settings.sandbox)
    benchmark = benchmark_named(arguments.rows, places)
    found: list[Ranks] = []
    left_out = 0
    for instance in benchmark.instances():
        with tempfile.TemporaryDirectory() as directory:
            try:
                if arguments.program:
                    workspace = await benchmark.prepare(instance, Path(directory))
                else:
                    workspace = Workspace(Path(directory, "tree"), path="")
                    await Trees(places.data, repos=places.repos, url=None).lay_out(instance, workspace.tree)
            except BenchmarkError as error:
                print(f"{instance.instance_id}: left out: {error}", file=sys.stderr)
                left_out += 1
                continue
            found.append(await ranks_of(instance, workspace, Path(directory, "index.sqlite")))
            print(f"{instance.instance_id}: {found[-1]}", file=sys.stderr)
    print(f"{len(found)} instances, {left_out} left out: no source")
    for name in found[0] if found else ():
        print_table(name, [ranks[name] for ranks in found])


async def ranks_of(instance: Instance, workspace: Workspace, database: Path) -> Ranks:
    facts, issue = read_issue(instance.problem_statement), instance.problem_statement
    with Index(database) as index:
        await asyncio.to_thread(index.update, workspace.tree, await files_of(workspace.tree))
        ranks = {"the issue's text": rank_in(index, instance, facts, {})}
        if workspace.test_command:
            own_facts, spectrum = await shown(facts, issue, workspace)
            ranks["and its program"] = rank_in(index, instance, own_facts, spectrum)
    return ranks


async def shown(
    facts: IssueFacts, issue: str, workspace: Workspace
) -> tuple[IssueFacts, Mapping[str, Mapping[int, float]]]:
    """The facts with the frames of the program's own failure, and how suspicious lines are by it and the tests."""
    sandbox = load_settings().sandbox.model_copy(
        update={
            "path": workspace.path,
            "environment": dict(workspace.environment),
            "readable": workspace.readable,
        }
    )
    copies = Copies("bubblewrap", workspace.tree, sandbox)
    reproducer = Reproducer(copies, "python", issue, facts)
    reproduction = await reproducer.from_issue()
    if reproduction is None:
        return facts, {}
    async with copies.open() as tree:
        run = await Suite(workspace.test_command or "", tree).run(timeout_s=TESTS_S, test_timeout_s=5.0, trace=True)
    frames = (*facts.frames, *read_issue(reproduction.failure).frames)
    executed = await reproducer.executed_by(reproduction)
    return facts.model_copy(update={"frames": frames}), suspiciousness(run, executed)


def rank_in(
    index: Index, instance: Instance, facts: IssueFacts, spectrum: Mapping[str, Mapping[int, float]]
) -> tuple[int, int]:
    locations = localise(facts, instance.problem_statement, index, spectrum, LOCATIONS)
    changed = changed_lines(instance.patch)
    gold = {(path, found.symbol.name) for path, line in changed if (found := index.at(path, line))}
    files = list(dict.fromkeys(location.path for location in locations))
    return rank(files, {path for path, _ in changed}), rank([(each.path, each.name) for each in locations], gold)


def print_table(name: str, ranks: Sequence[tuple[int, int]]) -> None:
    print(f"| {name}: found at | " + " | ".join(map(str, CUTS)) + " |\n|---|" + "---|" * len(CUTS))
    for kind, column in (("file", 0), ("function", 1)):
        shares = [sum(0 < rank[column] <= cut for rank in ranks) / len(ranks) for cut in CUTS]
        print(f"| {kind} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")


def rank(ranked: Sequence[object], gold: Container[object]) -> int:
    return next((place for place, each in enumerate(ranked, start=1) if each in gold), 0)


def changed_lines(patch: str) -> set[tuple[str, int]]:
    """Old-side lines that are removed, and those that something is added behind."""
    changed: set[tuple[str, int]] = set()
    path, at = "", 0
    for line in patch.splitlines():
        if line.startswith("--- "):
            path = line[4:].removeprefix("a/")
        elif hunk := _HUNK.match(line):
            at = int(hunk[1])
        elif line.startswith("-"):
            changed.add((path, at))
            at += 1
        elif line.startswith("+") and not line.startswith("+++ "):
            changed.add((path, max(1, at - 1)))
        elif line.startswith(" "):
            at += 1
    return changed


if __name__ == "__main__":
    asyncio.run(main())
