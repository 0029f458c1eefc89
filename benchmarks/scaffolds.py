"""Scaffolds side by side: python benchmarks/scaffolds.py RESULTS [--on NAME=BENCH]... [--minutes M]

RESULTS is a file of JSON lines, one for each attempt. With --on, `patchwright eval run` makes the attempts that it
lacks, instance by instance, each scaffold in its turn, until the minutes are over: a table of many hours can be made
piece by piece, and every piece compares all scaffolds on the same instances. NAME is the column. The instances come in
the order of a hash of their ids, so that those which are done are a sample. Then the table is printed.

The model is the configured one (PATCHWRIGHT_MODEL), on an engine that each attempt has to itself.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from patchwright.config import load_settings
from patchwright.evals.registry import Places, benchmark_named
from patchwright.evals.report.statistics import wilson
from patchwright.schema.attempt import Attempt

Row = dict[str, Any]

SCAFFOLDS = ("run", "resolve", "aider", "gptme", "mini-swe-agent")
TIME_LIMIT_S = 180
"""For each attempt."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Scaffolds side by side.")
    parser.add_argument("results", type=Path)
    parser.add_argument("--on", action="append", default=[], metavar="NAME=BENCH")
    parser.add_argument("--repos", type=Path)
    parser.add_argument("--scaffolds", default=",".join(SCAFFOLDS))
    parser.add_argument("--minutes", type=float, default=60, help="no attempt begins after them")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.minutes * 60
    for column, bench, instance_id, scaffold in pending(arguments):
        if time.monotonic() > end:
            break
        row = {"benchmark": column} | attempt(bench, arguments.repos, instance_id, scaffold)
        with arguments.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{column} {instance_id} {scaffold}: {row['exit_reason']}, {row['resolved']=}", file=sys.stderr)
    print(*table(rows_of(arguments.results)), sep="\n")


def pending(arguments: argparse.Namespace) -> Iterator[tuple[str, str, str, str]]:
    """The attempts that are not there: column, benchmark, instance, scaffold."""
    made = {(row["benchmark"], row["instance_id"], row["scaffold"]) for row in rows_of(arguments.results)}
    for each in arguments.on:
        column, _, bench = each.partition("=")
        for instance_id in instances(bench, arguments.repos):
            for scaffold in arguments.scaffolds.split(","):
                if (column, instance_id, scaffold) not in made:
                    yield column, bench, instance_id, scaffold


def instances(bench: str, repos: Path | None) -> list[str]:
    settings = load_settings()
    places = Places(settings.sandbox.path, settings.data_dir / "evals", repos, settings.sandbox)
    ids = [instance.instance_id for instance in benchmark_named(bench, places).instances()]
    return sorted(ids, key=lambda each: hashlib.sha256(each.encode()).hexdigest())


def attempt(bench: str, repos: Path | None, instance_id: str, scaffold: str) -> Row:
    with tempfile.TemporaryDirectory() as directory:
        command = ["patchwright", "eval", "run", bench, "--scaffold", scaffold, "--only", instance_id]
        command += ["--time-limit", str(TIME_LIMIT_S), "--out", directory]
        command += ["--repos", str(repos)] if repos else []
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        made = Path(directory) / "attempts" / instance_id / "1" / "attempt.json"
        if ended.returncode or not made.exists():
            raise SystemExit(f"{' '.join(command)}: {ended.stderr}")
        outcome = Attempt.model_validate_json(made.read_bytes())
    return {
        "instance_id": instance_id,
        "scaffold": scaffold,
        "model": load_settings().model,
        "time_limit_s": TIME_LIMIT_S,
        "resolved": outcome.resolved,
        "exit_reason": outcome.exit_reason,
        "detail": outcome.detail,
        "seconds": round(outcome.seconds, 1),
        "steps": outcome.steps,
        "usage": outcome.usage.model_dump() if outcome.usage else None,
    }


def rows_of(results: Path) -> list[Row]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Only the instances that every scaffold has attempted count."""
    for column in dict.fromkeys(row["benchmark"] for row in rows):
        here = [row for row in rows if row["benchmark"] == column]
        scaffolds = list(dict.fromkeys(row["scaffold"] for row in here))
        common = set[str].intersection(
            *({row["instance_id"] for row in here if row["scaffold"] == scaffold} for scaffold in scaffolds)
        )
        yield f"\n| {column}, {len(common)} instances | resolved | 95 % | seconds, median | steps, median | ended by |"
        yield "|---|---|---|---|---|---|"
        for scaffold in scaffolds:
            yield line(scaffold, [row for row in here if row["scaffold"] == scaffold and row["instance_id"] in common])


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
