"""A resolution with a real sandbox, real pytest and a real repository; only what the model answers is scripted."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from patchwright.agent.deadline import Deadline
from patchwright.config import load_settings
from patchwright.policy.scripted import Line, ScriptedPolicy
from patchwright.repo.index.index import Index
from patchwright.repo.work_tree import files_of
from patchwright.resolve.budget import Budget
from patchwright.resolve.judge import Trees
from patchwright.resolve.pipeline import Pipeline
from patchwright.resolve.plan import Order, asks
from patchwright.resolve.propose import Proposer
from patchwright.resolve.resolution import Plan, Resolution
from patchwright.resolve.strategy import Strategy
from patchwright.sandbox.kinds import SandboxKind
from patchwright.schema.events import AnyEvent, ResolveFinished
from tests.conftest import git

E = TypeVar("E", bound=AnyEvent)

PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"
SOURCE = '''"""Sums."""


def add(a, b):
    return a - b


def double(a):
    return add(a, a)
'''
TESTS = """from sums import add, double


def test_add():
    assert add(2, 3) == 5


def test_nothing():
    assert add(0, 0) == 0


def test_double():
    assert double(4) == 8
"""
FIX = "```python\ndef add(a, b):\n    return a + b\n```"
WRONG = "```python\ndef add(a, b):\n    return a * b\n```"


def sums(directory: Path, tests: str = TESTS) -> Path:
    """A repository whose `add` subtracts."""
    root = directory / "sums"
    root.mkdir()
    (root / "sums.py").write_text(SOURCE)
    if tests:
        (root / "test_sums.py").write_text(tests)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=start")
    return root


async def resolve(
    root: Path,
    script: Iterable[Line],
    plan: Plan,
    *,
    issue: str = "`add` gives the wrong sum.",
    time_s: float = 300,
    earlier: Sequence[AnyEvent] = (),
    stop: asyncio.Event | None = None,
    order: Order = asks,
    strategy: Strategy | None = None,
    sandbox: SandboxKind = "bubblewrap",
) -> list[AnyEvent]:
    """All events of a resolution."""
    with closing(Index(root.parent / "index.sqlite")) as index:
        policy = ScriptedPolicy(script)
        resolution = Resolution(
            policy=policy,
            strategy=strategy or Pipeline(Proposer(policy, plan.seed), root, order),
            trees=Trees(sandbox, root, load_settings().sandbox),
            index=index,
            files=await files_of(root),
            plan=plan,
            budget=Budget(time_s),
            deadline=Deadline(time_s, stop or asyncio.Event()),
        )
        return [event async for event in resolution.run(issue, earlier)]


def finish_of(events: Sequence[AnyEvent]) -> ResolveFinished:
    last = events[-1]
    assert isinstance(last, ResolveFinished)
    return last


def of_kind(events: Sequence[AnyEvent], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]
