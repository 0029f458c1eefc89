"""Prints how often localisation finds the file and the function that the gold patch changes.

    python benchmarks/localise.py ROWS.jsonl [--repos DIR] [--program] [--model]

ROWS.jsonl: rows of the SWE-bench family; DIR: git mirrors. Rows whose source is not there are counted and left out.
From the issue's text alone; with --program, also with what the issue's own program executes, compared with the tests
of the tree, where these may be run (rows of `patchwright eval forge`); with --model, also with the first ten of those
put in the order of the model's votes. Found at k: one of the gold patch's files (of its functions) is among
the first k files (locations). A gold function is the innermost symbol around a changed line.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from patchwright.cli.assemble import connected, engine_of
from patchwright.config import Settings, load_settings
from patchwright.errors import BenchmarkError
from patchwright.evals.base import Workspace
from patchwright.evals.registry import Places, benchmark_named
from patchwright.evals.trees import Trees
from patchwright.policy.base import Policy
from patchwright.repo.index.index import Index
from patchwright.repo.testing.suite import Suite
from patchwright.repo.work_tree import files_of
from patchwright.resolve.issue import IssueFacts, read_issue
from patchwright.resolve.judge import Trees as Copies
from patchwright.resolve.localise import localise
from patchwright.resolve.prompts import shortened
from patchwright.resolve.reproduce import Reproducer
from patchwright.resolve.sources import lines_of
from patchwright.resolve.spectrum import suspiciousness
from patchwright.schema.instance import Instance
from patchwright.schema.messages import Request, Sampling, UserMessage
from patchwright.schema.resolution import Location

CUTS = (1, 5, 10)
LOCATIONS = 200
TESTS_S = 600.0
LETTERS = "ABCDEFGHIJ"
SHOWN_LINES = 30
ISSUE_CHARS = 4_000
VOTES, ANSWERS = 16, 4
VOTE = """An issue:

{issue}

Places in the code where its cause may be:

{places}

One of these has to be changed. Which one? Answer with its letter alone."""
_HUNK = re.compile(r"@@ -(\d+)")

Gold = tuple[set[str], set[tuple[str, str]]]
"""Files, and functions by file and name."""
Ranks = dict[str, tuple[int, int]]
"""By what localisation had to go by: the rank of the first gold file and function, from 1; 0 where there is none."""


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows")
    parser.add_argument("--repos", type=Path)
    parser.add_argument("--program", action="store_true")
    parser.add_argument("--model", action="store_true")
    arguments = parser.parse_args()
    settings = load_settings()
    async with AsyncExitStack() as stack:
        policy = await stack.enter_async_context(connected(engine_of(settings), settings)) if arguments.model else None
        await print_tables(arguments, settings, policy)


async def print_tables(arguments: argparse.Namespace, settings: Settings, policy: Policy | None) -> None:
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
            found.append(await ranks_of(instance, workspace, Path(directory, "index.sqlite"), policy))
            print(f"{instance.instance_id}: {found[-1]}", file=sys.stderr)
    print(f"{len(found)} instances, {left_out} left out: no source")
    for name in dict.fromkeys(name for ranks in found for name in ranks):
        print_table(name, [ranks[name] for ranks in found if name in ranks])


async def ranks_of(instance: Instance, workspace: Workspace, database: Path, policy: Policy | None) -> Ranks:
    facts, issue = read_issue(instance.problem_statement), instance.problem_statement
    with Index(database) as index:
        await asyncio.to_thread(index.update, workspace.tree, await files_of(workspace.tree))
        gold = gold_of(instance, index)
        locations = localise(facts, issue, index, {}, LOCATIONS)
        ranks = {"the issue's text": rank_in(locations, gold)}
        if workspace.test_command:
            own_facts, spectrum = await shown(facts, issue, workspace)
            locations = localise(own_facts, issue, index, spectrum, LOCATIONS)
            ranks["and its program"] = rank_in(locations, gold)
    if policy:
        ranks["and the model's votes"] = rank_in(await voted(policy, issue, locations, workspace.tree), gold)
    return ranks


async def voted(policy: Policy, issue: str, locations: Sequence[Location], tree: Path) -> list[Location]:
    """The first ten by how many of the model's answers name them, those with as many in the order they had."""
    shortlist = dict(zip(LETTERS, locations, strict=False))
    places = "\n\n".join(place_of(letter, location, tree) for letter, location in shortlist.items())
    request = Request(
        messages=(UserMessage(content=VOTE.format(issue=shortened(issue, ISSUE_CHARS), places=places)),),
        sampling=Sampling(temperature=1.0, max_tokens=1, seed=0),
    )
    votes = Counter[str]()
    for _ in range(VOTES // ANSWERS):
        found = await policy.answers(request, ANSWERS)
        votes.update(answer.text.strip() for answer in found.answers)
        request = request.model_copy(update={"sampling": request.sampling.model_copy(update={"seed": votes.total()})})
    best = sorted(shortlist, key=lambda letter: (-votes[letter], letter))
    return [*(shortlist[letter] for letter in best), *locations[len(shortlist) :]]


def place_of(letter: str, location: Location, tree: Path) -> str:
    lines = lines_of((tree / location.path).read_text(encoding="utf-8", errors="replace"))
    code = lines[location.start_line - 1 : min(location.end_line, location.start_line - 1 + SHOWN_LINES)]
    return f"{letter}. {location.path}, {location.name or 'outside of functions'}\n```\n" + "\n".join(code) + "\n```"


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


def gold_of(instance: Instance, index: Index) -> Gold:
    changed = changed_lines(instance.patch)
    functions = {(path, found.symbol.name) for path, line in changed if (found := index.at(path, line))}
    return {path for path, _ in changed}, functions


def rank_in(locations: Sequence[Location], gold: Gold) -> tuple[int, int]:
    files = list(dict.fromkeys(location.path for location in locations))
    return rank(files, gold[0]), rank([(each.path, each.name) for each in locations], gold[1])


def print_table(name: str, ranks: Sequence[tuple[int, int]]) -> None:
    print(f"| {name}, of {len(ranks)}: found at | " + " | ".join(map(str, CUTS)) + " |\n|---|" + "---|" * len(CUTS))
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
