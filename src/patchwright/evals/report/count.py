"""A run counted: its directory as a RunReport."""

from collections import Counter
from collections.abc import Iterable, Sequence

from patchwright.evals.report.recorded_run import RecordedRun
from patchwright.evals.report.report import AttemptRow, Costs, Exit, InstanceRow, PassAt, RepositoryRow, RunReport
from patchwright.evals.report.statistics import pass_at, rate_of, spread_of
from patchwright.schema.attempt import Attempt

GRADING_FAILED = "grading failed"


def count(run: RecordedRun) -> RunReport:
    """The run as it stands. One attempt at a time is in memory with its patch. Raises RecordError."""
    facts = run.facts
    instances = tuple(_instance(run, instance_id) for instance_id in facts.instance_ids)
    attempts = [attempt for instance in instances for attempt in instance.attempts]
    resolved = [instance.resolved for instance in instances]
    return RunReport(
        facts=facts,
        directory=str(run.path),
        over=sum(attempt.exit != "not over" for attempt in attempts),
        rate=rate_of(sum(resolved), len(instances), facts.attempts),
        pass_at=tuple(PassAt(k=k, rate=pass_at(k, resolved, facts.attempts)) for k in range(1, facts.attempts + 1)),
        costs=costs_of(attempts),
        exits=_exits(attempts),
        repositories=tuple(_repositories(instances, facts.attempts)),
        instances=instances,
    )


def costs_of(attempts: Iterable[AttemptRow]) -> Costs:
    over = [attempt for attempt in attempts if attempt.exit != "not over"]
    usages = [attempt.usage for attempt in over]
    return Costs(
        seconds=spread_of(attempt.seconds for attempt in over),
        steps=spread_of(attempt.steps for attempt in over),
        prompt_tokens=spread_of(usage and usage.prompt_tokens for usage in usages),
        cached_tokens=spread_of(usage and usage.cached_tokens for usage in usages),
        completion_tokens=spread_of(usage and usage.completion_tokens for usage in usages),
    )


def _instance(run: RecordedRun, instance_id: str) -> InstanceRow:
    rows: list[AttemptRow] = []
    repo = ""
    for number, attempt in enumerate(run.attempts_at(instance_id), start=1):
        has_events = run.has_events(instance_id, number)
        rows.append(_row(attempt, has_events) if attempt else _not_over(instance_id, number, has_events))
        repo = attempt.repo if attempt else repo
    return InstanceRow(
        instance_id=instance_id, repo=repo, resolved=sum(row.resolved for row in rows), attempts=tuple(rows)
    )


def _row(attempt: Attempt, has_events: bool) -> AttemptRow:
    return AttemptRow(
        instance_id=attempt.instance_id,
        number=attempt.number,
        resolved=attempt.resolved,
        exit=attempt.exit_reason,
        detail=attempt.detail,
        problem=attempt.grade.problem if attempt.grade else GRADING_FAILED,
        patch_lines=_changed_lines(attempt.patch),
        steps=attempt.steps,
        usage=attempt.usage,
        seconds=attempt.seconds,
        tries=attempt.tries,
        has_events=has_events,
    )


def _not_over(instance_id: str, number: int, has_events: bool) -> AttemptRow:
    return AttemptRow(instance_id=instance_id, number=number, resolved=False, exit="not over", has_events=has_events)


def _exits(attempts: Iterable[AttemptRow]) -> dict[Exit, int]:
    counted = Counter[Exit](attempt.exit for attempt in attempts)
    return dict(counted.most_common())


def _changed_lines(patch: str) -> int:
    return sum(line.startswith(("+", "-")) and not line.startswith(("+++", "---")) for line in patch.splitlines())


def _repositories(instances: Sequence[InstanceRow], attempts: int) -> Iterable[RepositoryRow]:
    for repo in sorted({instance.repo for instance in instances}):
        own = [instance for instance in instances if instance.repo == repo]
        rows = [attempt for instance in own for attempt in instance.attempts]
        yield RepositoryRow(
            repo=repo,
            instances=len(own),
            rate=rate_of(sum(instance.resolved for instance in own), len(own), attempts),
            median_seconds=costs_of(rows).seconds.median,
        )
