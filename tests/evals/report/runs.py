"""A run's directory as the runner leaves it, made by hand of real records."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from patchwright.evals.report.recorded_run import RecordedRun
from patchwright.schema.attempt import Attempt, ExitReason, RunFacts
from patchwright.schema.events import AnyEvent
from patchwright.schema.instance import Grade
from patchwright.schema.messages import Usage

PATCH = "--- a/adder.py\n+++ b/adder.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n"


def attempt(
    instance_id: str,
    *,
    resolved: bool | None,
    number: int = 1,
    exit_reason: ExitReason = "done",
    seconds: float = 10.0,
    steps: int | None = 4,
    usage: Usage | None = None,
    patch: str = PATCH,
    detail: str = "",
    problem: str = "",
) -> Attempt:
    """`resolved` None: grading failed."""
    return Attempt(
        instance_id=instance_id,
        number=number,
        repo=instance_id.partition("-")[0].replace("__", "/"),
        exit_reason=exit_reason,
        detail=detail,
        patch=patch,
        steps=steps,
        usage=usage,
        seconds=seconds,
        grade=None if resolved is None else Grade(instance_id=instance_id, resolved=resolved, problem=problem),
    )


def write_run(
    path: Path,
    attempts: Iterable[Attempt],
    instance_ids: Sequence[str],
    *,
    each: int = 1,
    benchmark: str = "quixbugs",
    model: str = "tiny",
    scaffold: str = "run",
    excluded: dict[str, str] | None = None,
    graded_in: Literal["local", "docker"] = "local",
    validated: int | None = None,
    rows: str = "",
    time_limit_s: float = 600,
    test_timeout_s: float = 1800,
    command: str = "",
) -> RecordedRun:
    facts = RunFacts(
        name=path.name,
        benchmark=benchmark,
        model=model,
        scaffold=scaffold,
        attempts=each,
        time_limit_s=time_limit_s,
        test_timeout_s=test_timeout_s,
        instance_ids=tuple(instance_ids),
        excluded=excluded or {},
        graded_in=graded_in,
        validated=validated,
        rows=rows,
        machine="2 cores",
        patchwright="0.1.0",
        command=command or f"patchwright eval run {benchmark}:DIR --out '<{path.name}>'",
    )
    path.mkdir(parents=True)
    (path / "run.json").write_text(facts.model_dump_json())
    for one in attempts:
        write_attempt(path, one)
    return RecordedRun(path)


def write_attempt(run: Path, attempt: Attempt, events: Sequence[AnyEvent] | None = None) -> Path:
    directory = run / "attempts" / attempt.instance_id / str(attempt.number)
    directory.mkdir(parents=True)
    (directory / "attempt.json").write_text(attempt.model_dump_json())
    (directory / "patch.diff").write_text(attempt.patch)
    if events is not None:
        write_events(directory / "events.jsonl", events)
    return directory


def write_events(path: Path, events: Iterable[AnyEvent]) -> None:
    path.write_text("".join(f"{event.model_dump_json()}\n" for event in events), encoding="utf-8")
