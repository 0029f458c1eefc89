"""QuixBugs as a user would report it: one call that goes wrong, in an issue, and no test that fails.

Of each program whose tests are data, one case that fails and ends is what the issue shows; the cases that pass with the
fault are the tests that there are. All cases together grade. What is left of the evidence is what an issue of a
real project gives: a program, and tests that have not noticed.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from patchwright.evals.base import Workspace
from patchwright.evals.exercises import Exercise, Exercises
from patchwright.evals.quixbugs import quixbugs
from patchwright.schema.instance import Grade, Instance, Prediction

CASE_S = 5.0
CALL = """
from python_programs.{name} import {name}

print({call})
"""
ISSUE = """{name} gives a wrong result

I ran this program:

```python{program}```

It {seen}

It should print

```
{wanted}
```
"""


@dataclass(frozen=True)
class Reported:
    """The Benchmark protocol: prepared with the issue and the tests that pass, graded by all tests."""

    shown: Exercises
    whole: Exercises
    name: str = "reported"

    def instances(self) -> Sequence[Instance]:
        return self.shown.instances()

    async def prepare(self, instance: Instance, directory: Path) -> Workspace:
        return await self.shown.prepare(instance, directory)

    async def grade(self, instance: Instance, prediction: Prediction, directory: Path) -> Grade:
        return await self.whole.grade(instance, prediction, directory)


def reported(checkout: Path, path: str) -> Reported:
    """Raises BenchmarkError."""
    whole = quixbugs(checkout, path)
    return Reported(replace(whole, exercises=list(_shown(whole.exercises, checkout))), whole)


def _shown(exercises: Sequence[Exercise], checkout: Path) -> Iterator[Exercise]:
    for exercise in exercises:
        name = exercise.instance.instance_id.removeprefix("quixbugs__")
        data = f"json_testcases/{name}.json"
        if data not in exercise.files or "approx" in exercise.files[exercise.tests[0]]:
            continue
        lines = [line for line in exercise.files[data].splitlines() if line.strip()]
        cases = [(line, *json.loads(line)) for line in lines]
        came_to = [_came_to(name, _arguments(given), exercise, checkout) for _, given, _ in cases]
        passing = [line for (line, _, wanted), seen in zip(cases, came_to, strict=True) if seen == str(wanted)]
        failing = [(case, seen) for case, seen in zip(cases, came_to, strict=True) if seen not in (None, str(case[2]))]
        if failing:
            (_, given, wanted), seen = failing[0]
            instance = exercise.instance.model_copy(
                update={"problem_statement": _issue(name, given, seen, wanted, exercise)}
            )
            yield replace(
                exercise, instance=instance, files={**exercise.files, data: "".join(f"{line}\n" for line in passing)}
            )


def _came_to(name: str, arguments: list[Any], exercise: Exercise, checkout: Path) -> str | None:
    """What the program prints with its fault, or the exception that it ends with; None if it does not end."""
    program = CALL.format(name=name, call=_call(name, arguments, exercise))
    try:
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, timeout=CASE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return run.stderr.strip().splitlines()[-1] if run.returncode else run.stdout.strip()


def _arguments(given: Any) -> list[Any]:
    return cast("list[Any]", given) if isinstance(given, list) else [given]


def _call(name: str, arguments: list[Any], exercise: Exercise) -> str:
    call = f"{name}({', '.join(map(repr, arguments))})"
    return f"list({call})" if f"list({name}(" in exercise.files[exercise.tests[0]] else call


def _issue(name: str, given: Any, seen: str | None, wanted: Any, exercise: Exercise) -> str:
    kind = "fails with" if seen and ("Error" in seen.partition(":")[0]) else "prints"
    return ISSUE.format(
        name=name,
        program=CALL.format(name=name, call=_call(name, _arguments(given), exercise)),
        seen=f"{kind}\n\n```\n{seen}\n```",
        wanted=wanted,
    )
