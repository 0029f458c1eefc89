"""A report as one HTML page, and the pages of its trajectories beside it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import get_args
from urllib.parse import quote

from patchwright.evals.report.blocks import Tone
from patchwright.evals.report.charts import pass_at_curves, resolved_by_time
from patchwright.evals.report.figures import GRADED_IN, labels
from patchwright.evals.report.markdown import (
    METHOD,
    commands_for,
    differing,
    in_words,
    left_out,
    made_by,
    shown_ks,
    validated,
)
from patchwright.evals.report.page import render
from patchwright.evals.report.report import AttemptRow, InstanceRow, Report, RepositoryRow
from patchwright.evals.report.statistics import Spread, spread_of
from patchwright.schema.attempt import ExitReason

NAME_CHARS = 200
"""A file system takes 255, of which a page's name needs some for the attempt and its ending."""

Links = Callable[[int, AttemptRow], str]
"""Where the page of an attempt is, by the number of its run in the report; empty where there is none."""


@dataclass(frozen=True)
class AttemptLink:
    number: int
    word: str
    tone: Tone
    href: str

    @property
    def mark(self) -> str:
        """The same without colours."""
        return {"good": "✓", "bad": "✗"}.get(self.tone, "…")


@dataclass(frozen=True)
class Row:
    """An instance in a run."""

    run: int
    instance_id: str
    repo: str
    word: str
    """resolved, partly, not resolved, not over"""
    tone: Tone
    share: float
    attempts: tuple[AttemptLink, ...]
    exits: str
    why: str
    seconds: Spread
    steps: Spread
    prompt_tokens: Spread
    cached_tokens: Spread
    completion_tokens: Spread


def html(report: Report, links: Links = lambda run, attempt: "") -> str:
    """The whole report. It loads nothing, and its only script sorts and filters its own rows."""
    return render(
        "report",
        report=report,
        names=labels(report.runs),
        rows=[_row(n, instance, links) for n, run in enumerate(report.runs) for instance in run.instances],
        exits=(*get_args(ExitReason), "not over"),
        by_time=resolved_by_time(report.runs),
        pass_at=pass_at_curves(report.runs),
        ks=shown_ks(report.runs),
        repositories=_repositories(report),
        made_by=made_by(report.runs),
        commands=commands_for(report.runs),
        method=METHOD,
        in_words=in_words,
        differing=differing,
        left_out=left_out,
        validated=validated,
        graded_in=GRADED_IN,
    )


def page_name(run: int, attempt: AttemptRow) -> str:
    """Where the page of an attempt is, from the report's directory: a path that needs no quoting in a link."""
    return f"trajectories/{run + 1}/{_file_name(attempt.instance_id)}-{attempt.number}.html"


def _file_name(instance_id: str) -> str:
    """Other ids have other names: a shortened one is longer than any that is whole, and has a hash of all of the id."""
    name = quote(instance_id, safe="").replace("%", "=")
    if len(name) <= NAME_CHARS:
        return name
    digest = sha256(instance_id.encode()).hexdigest()[:16]
    return f"{name[: NAME_CHARS - len(digest)]}-{digest}"


def _row(run: int, instance: InstanceRow, links: Links) -> Row:
    share = instance.resolved / len(instance.attempts)
    word, tone = _word(instance, share)
    usages = [attempt.usage for attempt in instance.attempts]
    return Row(
        run=run,
        instance_id=instance.instance_id,
        repo=instance.repo,
        word=word,
        tone=tone,
        share=share,
        attempts=tuple(_link(attempt, links(run, attempt)) for attempt in instance.attempts),
        exits=_joined(attempt.exit.replace("_", " ") for attempt in instance.attempts),
        why=_joined(word for attempt in instance.attempts for word in (attempt.detail, attempt.problem) if word),
        seconds=spread_of(attempt.seconds for attempt in instance.attempts),
        steps=spread_of(attempt.steps for attempt in instance.attempts),
        prompt_tokens=spread_of(usage and usage.prompt_tokens for usage in usages),
        cached_tokens=spread_of(usage and usage.cached_tokens for usage in usages),
        completion_tokens=spread_of(usage and usage.completion_tokens for usage in usages),
    )


def _word(instance: InstanceRow, share: float) -> tuple[str, Tone]:
    if share == 1:
        return "resolved", "good"
    if not instance.over:
        return "not over", "warn"
    return ("partly", "warn") if share else ("not resolved", "bad")


def _link(attempt: AttemptRow, href: str) -> AttemptLink:
    if attempt.exit == "not over":
        return AttemptLink(attempt.number, "not over", "warn", href)
    return AttemptLink(
        attempt.number,
        "resolved" if attempt.resolved else "not resolved",
        "good" if attempt.resolved else "bad",
        href,
    )


def _joined(words: Iterable[str]) -> str:
    """Each once, in order."""
    return ", ".join(dict.fromkeys(words))


def _repositories(report: Report) -> list[tuple[str, list[RepositoryRow | None]]]:
    """By name, with a row for each run or None."""
    of_runs = [{row.repo: row for row in run.repositories} for run in report.runs]
    names = sorted({name for rows in of_runs for name in rows})
    return [(name, [rows.get(name) for rows in of_runs]) for name in names]
