"""Scaffolds side by side: python benchmarks/scaffolds.py RESULTS [--on NAME=BENCH]... [--minutes M]

RESULTS is a file of JSON lines, one for each attempt. With --on, `patchwright eval run` makes the attempts that it
lacks, a few instances at a time by each scaffold in its turn, until the minutes are over: a table of many hours can be
made piece by piece, and every piece compares all scaffolds on the same instances. NAME is the column. The instances
come in the order of a hash of their ids, so that those which are done are a sample. Then the tables are printed.

The model is the configured one: PATCHWRIGHT_MODEL and PATCHWRIGHT_BASE_URL, an endpoint that cuts every answer off at
the same length, for some scaffolds ask for no limit and a small model may write until its window is full. It works for
one attempt at a time.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

from patchwright.config import load_settings
from patchwright.evals.registry import Places, benchmark_named, verdicts
from patchwright.evals.report.statistics import mcnemar, wilson
from patchwright.schema.attempt import Attempt

Row = dict[str, Any]

SCAFFOLDS = ("run:small", "resolve:pipeline", "aider", "gptme", "mini-swe-agent")
ATTEMPTS = "attempts/*/1/attempt.json"
TIME_LIMIT_S = 60
"""For each attempt."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Scaffolds side by side.")
    parser.add_argument("results", type=Path)
    parser.add_argument("--on", action="append", default=[], metavar="NAME=BENCH")
    parser.add_argument("--repos", type=Path)
    parser.add_argument("--scaffolds", default=",".join(SCAFFOLDS))
    parser.add_argument("--piece", type=int, default=4, help="instances of a piece")
    parser.add_argument("--minutes", type=float, default=60, help="no run begins after them")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.minutes * 60
    for column, bench, ids, scaffold in pending(arguments):
        if time.monotonic() > end:
            break
        for attempt in attempts(bench, arguments.repos, ids, scaffold):
            append(arguments.results, {"benchmark": column} | row_of(attempt, scaffold))
            print(f"{column} {attempt.instance_id} {scaffold}: {attempt.resolved=}", file=sys.stderr)
    print(*table(rows_of(arguments.results)), sep="\n")


def pending(arguments: argparse.Namespace) -> Iterator[tuple[str, str, list[str], str]]:
    """The runs that are to be made: column, benchmark, instances, scaffold."""
    made = {key_of(row) for row in rows_of(arguments.results)}
    model = load_settings().model
    for each in arguments.on:
        column, _, bench = each.partition("=")
        for piece in batched(instances(bench, arguments.repos), arguments.piece):
            for scaffold in arguments.scaffolds.split(","):
                if missing := [each for each in piece if (column, each, scaffold, model, TIME_LIMIT_S) not in made]:
                    yield column, bench, missing, scaffold


def batched(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def instances(bench: str, repos: Path | None) -> list[str]:
    settings = load_settings()
    places = Places(settings.sandbox.path, settings.data_dir / "evals", repos, settings.sandbox)
    benchmark = benchmark_named(bench, places)
    cannot = {each.instance_id for each in verdicts(benchmark, places).values() if not each.gradable}
    ids = {instance.instance_id for instance in benchmark.instances()} - cannot
    return sorted(ids, key=lambda each: hashlib.sha256(each.encode()).hexdigest())


def attempts(bench: str, repos: Path | None, ids: Sequence[str], scaffold: str) -> Iterator[Attempt]:
    with tempfile.TemporaryDirectory() as directory:
        command = ["patchwright", "eval", "run", bench, "--scaffold", scaffold, "--only", ",".join(ids)]
        command += ["--time-limit", str(TIME_LIMIT_S), "--out", directory]
        command += ["--repos", str(repos)] if repos else []
        try:
            subprocess.run(command, check=True)
        finally:
            for path in sorted(Path(directory).glob(ATTEMPTS)):
                yield Attempt.model_validate_json(path.read_bytes())


def row_of(attempt: Attempt, scaffold: str) -> Row:
    return {
        "instance_id": attempt.instance_id,
        "scaffold": scaffold,
        "model": load_settings().model,
        "time_limit_s": TIME_LIMIT_S,
        "resolved": attempt.resolved,
        "exit_reason": attempt.exit_reason,
        "detail": attempt.detail,
        "seconds": round(attempt.seconds, 1),
        "steps": attempt.steps,
        "usage": attempt.usage.model_dump() if attempt.usage else None,
    }


def rows_of(results: Path) -> list[Row]:
    """Without a last line that was cut off."""
    lines = results.read_text().splitlines(keepends=True) if results.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append(results: Path, row: Row) -> None:
    """What an interruption left of a line is cut off first."""
    with results.open("ab") as file:
        file.truncate(results.read_bytes().rfind(b"\n") + 1)
        file.write(json.dumps(row).encode() + b"\n")


def key_of(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in ("benchmark", "instance_id", "scaffold", "model", "time_limit_s"))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """One for each benchmark, model and limit. Only the instances that every scaffold has attempted count."""
    for column, model, limit_s in dict.fromkeys(map(column_of, rows)):
        here = [row for row in rows if column_of(row) == (column, model, limit_s)]
        there = dict.fromkeys(row["scaffold"] for row in here)
        scaffolds = sorted(there, key=lambda each: SCAFFOLDS.index(each) if each in SCAFFOLDS else len(SCAFFOLDS))
        common = set[str].intersection(
            *({row["instance_id"] for row in here if row["scaffold"] == scaffold} for scaffold in scaffolds)
        )
        yield f"\n{column}, {len(common)} instances, {model}, {limit_s} s:\n"
        yield "| scaffold | resolved | 95 % | seconds, median | steps, median | ended by |"
        yield "|---|---|---|---|---|---|"
        for scaffold in scaffolds:
            yield line(scaffold, [row for row in here if row["scaffold"] == scaffold and row["instance_id"] in common])
        yield ""
        yield from pairs({each: common & solved(here, each) for each in scaffolds})


def solved(rows: Sequence[Row], scaffold: str) -> set[str]:
    return {row["instance_id"] for row in rows if row["scaffold"] == scaffold and row["resolved"]}


def pairs(solved_by: Mapping[str, set[str]]) -> Iterator[str]:
    """What one of two scaffolds resolved and the other did not, and McNemar's p."""
    for (first, ours), (second, theirs) in combinations(solved_by.items(), 2):
        alone = len(ours - theirs), len(theirs - ours)
        yield f"{first} alone {alone[0]}, {second} alone {alone[1]}: p = {mcnemar(*alone):.3f}"


def column_of(row: Row) -> tuple[str, str, float]:
    return row["benchmark"], row["model"], row["time_limit_s"]


def line(scaffold: str, rows: Sequence[Row]) -> str:
    resolved = sum(row["resolved"] for row in rows)
    low, high = wilson(resolved / max(1, len(rows)), len(rows))
    steps = [row["steps"] for row in rows if row["steps"] is not None]
    reasons = [row["exit_reason"] for row in rows]
    ended = ", ".join(f"{reason} {reasons.count(reason)}" for reason in sorted(set(reasons)))
    cells = [f"`{scaffold}`", resolved, f"{low:.0%}–{high:.0%}"]
    cells += [f"{median([row['seconds'] for row in rows] or [0]):.0f}", f"{median(steps or [0]):.0f}", ended]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
