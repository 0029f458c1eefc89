"""The viewer: a trajectory as one page, to be walked through step by step."""

from dataclasses import dataclass
from pathlib import Path

from patchwright.errors import RecordError
from patchwright.evals.report.blocks import Block, Card, Table
from patchwright.evals.report.cards import cards_of
from patchwright.evals.report.event_file import read_events
from patchwright.evals.report.figures import NONE, quantity
from patchwright.evals.report.page import render
from patchwright.evals.report.recorded_run import RecordedRun
from patchwright.schema.attempt import Attempt

LOGS = ("scaffold.log", "grading.log")


@dataclass(frozen=True)
class Fact:
    name: str
    value: str


def attempt_page(run: RecordedRun, instance_id: str, number: int) -> str:
    """An attempt, over or not: its events where there are any, its patch, grade and logs.

    Raises RecordError, also for an attempt that has not begun.
    """
    if not run.directory_of(instance_id, number).is_dir():
        raise RecordError(f"{run.path}: attempt {number} at {instance_id} has not begun")
    attempt = run.attempt(instance_id, number)
    cards = cards_of(run.events(instance_id, number))
    if attempt:
        cards.append(_outcome(attempt))
    cards += [card for name in LOGS if (card := _log(name, run.log(instance_id, number, name)))]
    return _page(
        title=f"{instance_id}, attempt {number}", facts=_facts(run, attempt), cards=cards, verdict=_verdict(attempt)
    )


def session_page(path: Path) -> str:
    """An exported session. Raises RecordError."""
    return _page(title=path.name, facts=[], cards=cards_of(read_events(path)), verdict="")


def _page(*, title: str, facts: list[Fact], cards: list[Card], verdict: str) -> str:
    return render("viewer", title=title, facts=facts, cards=cards, verdict=verdict, is_table=_is_table)


def _is_table(block: Block | Table) -> bool:
    return isinstance(block, Table)


def _verdict(attempt: Attempt | None) -> str:
    return "not over" if attempt is None else "resolved" if attempt.resolved else "not resolved"


def _facts(run: RecordedRun, attempt: Attempt | None) -> list[Fact]:
    facts = run.facts
    known = [
        Fact("run", facts.name),
        Fact("benchmark", facts.benchmark),
        Fact("model", facts.model),
        Fact("scaffold", facts.scaffold),
    ]
    if attempt is None:
        return known
    usage = attempt.usage
    return [
        *known,
        Fact("repository", attempt.repo),
        Fact("ended", f"{attempt.exit_reason.replace('_', ' ')} {attempt.detail}".strip()),
        Fact("seconds", quantity(attempt.seconds)),
        Fact("steps", quantity(attempt.steps)),
        Fact(
            "prompt tokens",
            f"{quantity(usage.prompt_tokens)}, {quantity(usage.cached_tokens)} cached" if usage else NONE,
        ),
        Fact("tokens written", quantity(usage.completion_tokens) if usage else NONE),
    ]


def _outcome(attempt: Attempt) -> Card:
    """What was handed in, and what grading showed."""
    grade = attempt.grade
    card = Card("Outcome", _verdict(attempt), "good" if attempt.resolved else "bad")
    if grade is None:
        card.add("grade", "grading failed: the attempt counts as not resolved", "prose", tone="bad")
    else:
        card.facts.append(f"graded in {quantity(grade.duration_s)} s")
        card.add("grade", grade.problem, "prose", tone="bad")
        card.add("FAIL_TO_PASS tests that pass", "\n".join(grade.fail_to_pass), tone="good")
        card.add("PASS_TO_PASS tests that do not", "\n".join(grade.pass_to_pass_broken), tone="bad")
    if attempt.patch.strip():
        card.add("patch", attempt.patch, "diff", whole=True)
    else:
        card.add("patch", "there is none", "prose", tone="bad")
    return card


def _log(name: str, text: str) -> Card | None:
    if not text.strip():
        return None
    card = Card(name)
    card.add("its end", text, "log")
    return card
