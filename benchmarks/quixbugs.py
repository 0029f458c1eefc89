"""How many of the 40 QuixBugs programs are repaired: python benchmarks/quixbugs.py CHECKOUT [--mode MODE] [--only A,B]

CHECKOUT is a checkout of github.com/jkoppel/QuixBugs. Each program becomes a small repository with its test file, which
is given as the test command; the issue says no more than that the tests fail. A program counts as resolved when its
whole test file passes with the patch. Modes:

greedy    one answer at temperature 0, with the file and the failing output in the prompt
best-of-8 eight answers at temperature 0.8 to the same prompt, each tried
resolve   `patchwright resolve` with 180 s for each program, and its ablations: no-coverage, no-mechanical,
          no-agreement, no-refinement
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from patchwright.agent.deadline import Deadline
from patchwright.cli.assemble import engine_of
from patchwright.config import load_settings
from patchwright.policy.openai import OpenAIPolicy
from patchwright.repo.index.index import Index
from patchwright.repo.work_tree import files_of
from patchwright.resolve.budget import Budget
from patchwright.resolve.judge import Trees
from patchwright.resolve.pipeline import Pipeline
from patchwright.resolve.plan import Ask, Order, asks
from patchwright.resolve.propose import Proposer
from patchwright.resolve.resolution import Plan, Resolution
from patchwright.resolve.state import ResolveState
from patchwright.schema.events import ResolveFinished
from patchwright.schema.resolution import Location

MODEL = "qwen2.5-coder-1.5b"
SHARED = ("conftest.py", "python_testcases/load_testdata.py", "python_testcases/node.py", "python_programs/node.py")


def one_greedy(locations: Sequence[Location]) -> list[Ask]:
    return [Ask("rewrite", location, 0.0, answers=1) for location in locations[:1]]


def best_of_8(locations: Sequence[Location]) -> list[Ask]:
    return [Ask("rewrite", location, 0.8, answers=4) for location in locations[:1] for _ in range(2)]


ORDERS: dict[str, Order] = {
    "greedy": one_greedy,
    "best-of-8": best_of_8,
    "no-mechanical": partial(asks, mechanical=False),
    "no-refinement": partial(asks, refine=False),
}


def plan_for(mode: str, command: str) -> Plan:
    return Plan(command, coverage=mode != "no-coverage", agreement=mode != "no-agreement")


def repository(checkout: Path, program: str, directory: Path) -> Path:
    """A git repository with the program, its tests and what they need."""
    root = directory / program
    wanted = [*SHARED, f"python_programs/{program}.py", f"python_testcases/test_{program}.py"]
    wanted.append(f"json_testcases/{program}.json")
    for name in wanted:
        if (checkout / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / name, root / name)
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", program]):
        git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org"]
        subprocess.run([*git, *command], cwd=root, check=True)
    return root


async def resolved(root: Path, program: str, mode: str, time_s: float) -> dict[str, Any]:
    settings = load_settings(model=MODEL)
    command = f"python -m pytest -q python_testcases/test_{program}.py"
    state = ResolveState()
    started = time.monotonic()
    async with OpenAIPolicy.connected(engine_of(settings).connect) as policy:
        with closing(Index(root.parent / f"{program}.sqlite")) as index:
            resolution = Resolution(
                policy=policy,
                trees=Trees("bubblewrap", root, settings.sandbox),
                index=index,
                files=await files_of(root),
                plan=plan_for(mode, command),
                budget=Budget(time_s),
                deadline=Deadline(time_s, asyncio.Event()),
                strategy=Pipeline(Proposer(policy, seed=0), root, ORDERS.get(mode, asks)),
            )
            async for event in resolution.run(f"`{program}` does not work: its tests fail."):
                state.add(event)
                if isinstance(event, ResolveFinished):
                    return row(program, mode, event, state, time.monotonic() - started)
    raise AssertionError


def row(program: str, mode: str, event: ResolveFinished, state: ResolveState, duration_s: float) -> dict[str, Any]:
    best = state.candidates.get(event.candidate or 0)
    return {
        "program": program,
        "mode": mode,
        "word": event.word,
        "by": best.source if best else "",
        "seconds": round(duration_s, 1),
        "stages": event.seconds,
        "candidates": len(state.candidates),
        "why": event.why,
        "patch": event.patch,
        "locations": [place.name for place in state.locations or ()][:3],
    }


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--mode", default="resolve")
    parser.add_argument("--only", default="")
    parser.add_argument("--time", type=float, default=180)
    parser.add_argument("--out", type=Path, help="append a line of JSON for each program; programs in it are skipped")
    arguments = parser.parse_args()
    tests = sorted((arguments.checkout / "python_testcases").glob("test_*.py"))
    programs = [test.stem.removeprefix("test_") for test in tests]
    done = earlier(arguments.out, arguments.mode)
    for program in programs:
        if program in done or (arguments.only and program not in arguments.only.split(",")):
            continue
        with tempfile.TemporaryDirectory() as directory:
            root = repository(arguments.checkout, program, Path(directory))
            result = await resolved(root, program, arguments.mode, arguments.time)
        done[program] = result
        if arguments.out:
            with arguments.out.open("a") as file:
                file.write(json.dumps(result) + "\n")
        stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in result["stages"].items())
        made = f"{result['candidates']} candidates, {result['seconds']:.0f} s ({stages})"
        print(f"{program}: {result['word']} {result['by']} {made}", flush=True)
    right = [result for result in done.values() if result["word"] == "verified"]
    seconds = [result["seconds"] for result in done.values()]
    mean_s = sum(seconds) / max(1, len(seconds))
    print(f"{arguments.mode}: {len(right)} of {len(done)} resolved, {mean_s:.0f} s on average")


def earlier(out: Path | None, mode: str) -> dict[str, dict[str, Any]]:
    if out is None or not out.exists():
        return {}
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    return {row["program"]: row for row in rows if row["mode"] == mode}


if __name__ == "__main__":
    asyncio.run(main())
