"""A report as Markdown."""

import re
from collections.abc import Iterable, Sequence
from textwrap import indent
from typing import get_args

from patchwright.evals.report.figures import GRADED_IN, NONE, interval, labels, p_value, percent, quantity
from patchwright.evals.report.inert import inert, inert_line
from patchwright.evals.report.report import Comparison, Costs, InstanceRow, PublishedTable, Report, RunReport
from patchwright.evals.report.statistics import Spread
from patchwright.schema.attempt import ExitReason, RunFacts

METHOD = (
    "Resolve rate: resolved ÷ all instances × attempts; those that crashed, left no patch or are not over count as "
    "not resolved. Intervals: Wilson, 95 %, with instances as trials."
)
NAMED_INSTANCES = 20


def markdown(report: Report) -> str:
    """The whole report, ready to be put into a file or an issue."""
    names = labels(report.runs)
    sections = [
        f"# Evaluation report\n\nMade {report.created} by Patchwright {report.patchwright}.",
        _results(report.runs, names),
        _costs(report.runs, names),
        _exits(report.runs, names),
        _repositories(report.runs, names),
        *(comparison_markdown(comparison) for comparison in report.comparisons),
        _instances(report.runs, names),
        _excluded(report.runs, names),
        _facts(report.runs, names),
        _published(report.published),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Two runs side by side."""
    rows = [
        (name, f"{rate.resolved} of {rate.of}", percent(rate.rate), interval(rate), *_medians(costs))
        for name, rate, costs in (
            (comparison.first, comparison.first_rate, comparison.first_costs),
            (comparison.second, comparison.second_rate, comparison.second_costs),
        )
    ]
    sentences = [*in_words(comparison), f"p {p_value(comparison.p_value)}."]
    return "\n\n".join(
        [
            f"## {_text(comparison.first)} against {_text(comparison.second)}",
            _table(("run", "resolved", "resolve rate", "95 % interval", "median seconds", "median steps"), rows),
            _text(" ".join(sentences)),
            *([f"**{differing(comparison)}**"] if comparison.differences else []),
            *([left_out(comparison)] if left_out(comparison) else []),
            *_named(f"Resolved more often by {_text(comparison.first)}", comparison.first_better),
            *_named(f"Resolved more often by {_text(comparison.second)}", comparison.second_better),
        ]
    )


def in_words(comparison: Comparison) -> list[str]:
    """What was compared and how it came out, up to the p-value."""
    once = comparison.test == "exact McNemar test"
    return [
        f"Instances of {comparison.benchmark} that count in both runs and are over: {comparison.instances}.",
        f"{comparison.first} resolves {len(comparison.first_better)} that {comparison.second} does not; "
        f"{comparison.second} resolves {len(comparison.second_better)} that {comparison.first} does not; "
        f"both resolve {comparison.both}, neither {comparison.neither}."
        if once
        else f"{comparison.first} resolves {len(comparison.first_better)} more often than {comparison.second}; "
        f"{comparison.second} resolves {len(comparison.second_better)} more often than {comparison.first}; "
        f"both resolve {comparison.both} every time, neither resolves {comparison.neither} at all.",
        f"By the {comparison.test}, two-sided:",
    ]


def differing(comparison: Comparison) -> str:
    """What besides the scaffold and the model may be behind the result; empty where nothing is known."""
    return f"Not alike: {'; '.join(comparison.differences)}." if comparison.differences else ""


def left_out(comparison: Comparison) -> str:
    if not comparison.only_in_one and not comparison.not_over:
        return ""
    return f"Left out: {comparison.only_in_one} that count in one run alone, {comparison.not_over} that are not over."


def shown_ks(runs: Sequence[RunReport]) -> list[int]:
    """1, 2, 5, 10, … and each run's last; nothing for single attempts, where pass@1 is the resolve rate."""
    most = max((run.facts.attempts for run in runs), default=1)
    if most == 1:
        return []
    return sorted({k for k in (1, 2, 5, 10, 20, 50, 100) if k <= most} | {run.facts.attempts for run in runs})


def _results(runs: Sequence[RunReport], names: Sequence[str]) -> str:
    ks = shown_ks(runs)
    head = ("run", "benchmark", "model", "scaffold", "resolved", "resolve rate", "95 % interval")
    rows = [
        (
            *(name, run.facts.benchmark, run.facts.model, run.facts.scaffold),
            *(f"{run.rate.resolved} of {run.rate.of}", percent(run.rate.rate), interval(run.rate)),
            *(next((percent(at.rate) for at in run.pass_at if at.k == k), NONE) for k in ks),
        )
        for name, run in zip(names, runs, strict=True)
    ]
    unfinished = [
        f"**{_text(name)} is not over**: {run.over} of {run.rate.of} attempts are."
        for name, run in zip(names, runs, strict=True)
        if run.in_progress
    ]
    return "\n\n".join(["## Results", _table((*head, *(f"pass@{k}" for k in ks)), rows), *unfinished, METHOD])


def _costs(runs: Sequence[RunReport], names: Sequence[str]) -> str:
    head = ("run", "seconds", "steps", "prompt tokens", "of them cached", "completion tokens")
    rows = [
        (
            name,
            *(_spread(spread) for spread in (run.costs.seconds, run.costs.steps)),
            *(_spread(run.costs.prompt_tokens), _spread(run.costs.cached_tokens)),
            _spread(run.costs.completion_tokens),
        )
        for name, run in zip(names, runs, strict=True)
    ]
    note = "For each attempt that is over and says: median (mean)."
    return f"## Costs\n\n{note}\n\n{_table(head, rows)}"


def _spread(spread: Spread) -> str:
    return f"{quantity(spread.median)} ({quantity(spread.mean)})" if spread.known else NONE


def _medians(costs: Costs) -> tuple[str, str]:
    return quantity(costs.seconds.median), quantity(costs.steps.median)


def _exits(runs: Sequence[RunReport], names: Sequence[str]) -> str:
    reasons = (*get_args(ExitReason), "not over")
    rows = [
        (name, *(str(run.exits.get(reason, 0)) for reason in reasons)) for name, run in zip(names, runs, strict=True)
    ]
    return f"## How attempts ended\n\n{_table(('run', *(reason.replace('_', ' ') for reason in reasons)), rows)}"


def _repositories(runs: Sequence[RunReport], names: Sequence[str]) -> str:
    rows = [
        (
            *(repository.repo or "(not known yet)", name, str(repository.instances)),
            *(f"{repository.rate.resolved} of {repository.rate.of}", percent(repository.rate.rate)),
            *(interval(repository.rate), quantity(repository.median_seconds)),
        )
        for name, run in zip(names, runs, strict=True)
        for repository in run.repositories
    ]
    head = ("repository", "run", "instances", "resolved", "resolve rate", "95 % interval", "median seconds")
    return f"## Repositories\n\n{_table(head, sorted(rows))}"


def _instances(runs: Sequence[RunReport], names: Sequence[str]) -> str:
    by_id: dict[str, dict[str, InstanceRow]] = {}
    for name, run in zip(names, runs, strict=True):
        for instance in run.instances:
            by_id.setdefault(instance.instance_id, {})[name] = instance
    rows = [(instance_id, *(_outcome(row.get(name)) for name in names)) for instance_id, row in by_id.items()]
    return f"## Instances\n\nResolved attempts of all.\n\n{_table(('instance', *names), rows)}"


def _outcome(instance: InstanceRow | None) -> str:
    if instance is None:
        return NONE
    not_over = "" if instance.over else ", not over"
    return f"{instance.resolved} of {len(instance.attempts)}{not_over}"


def _excluded(runs: Sequence[RunReport], names: Sequence[str]) -> str:
    rows = [
        (instance_id, name, reason)
        for name, run in zip(names, runs, strict=True)
        for instance_id, reason in run.facts.excluded.items()
    ]
    if not rows:
        return ""
    note = "These were named and do not count."
    return f"## Excluded instances\n\n{note}\n\n{_table(('instance', 'run', 'reason'), rows)}"


def _facts(runs: Sequence[RunReport], names: Sequence[str]) -> str:
    head = (
        "run",
        "instances",
        "validated",
        "attempts each",
        "time limit",
        "graded in",
        "machine",
        "Patchwright",
        "directory",
    )
    rows = [
        (
            *(name, str(len(run.instances)), validated(run.facts), str(run.facts.attempts)),
            *(f"{quantity(run.facts.time_limit_s)} s", GRADED_IN[run.facts.graded_in]),
            *(run.facts.machine or NONE, run.facts.patchwright or NONE, run.directory),
        )
        for name, run in zip(names, runs, strict=True)
    ]
    made = _block("Made by:", made_by(runs))
    again = _block("This report again, and one of the trajectories:", commands_for(runs))
    return "\n\n".join(filter(None, ("## Runs", _table(head, rows), made, again)))


def validated(facts: RunFacts) -> str:
    """How many of the instances were known to be gradable when the run began."""
    return NONE if facts.validated is None else f"{facts.validated} of {len(facts.instance_ids)}"


def _block(words: str, commands: Sequence[str]) -> str:
    """Commands to copy; nothing where there are none."""
    lines = indent("\n".join(commands), "    ")
    return f"{words}\n\n{lines}" if commands else ""


def made_by(runs: Sequence[RunReport]) -> list[str]:
    """The commands that started the runs, as far as they are known."""
    return [inert_line(run.facts.command) for run in runs if run.facts.command]


def commands_for(runs: Sequence[RunReport]) -> list[str]:
    """How a reader gets this report again, and sees a trajectory."""
    commands = [f"patchwright eval report {_arguments(run.directory for run in runs)}"]
    if shown := next((run for run in runs if run.instances), None):
        arguments = _arguments((shown.directory, shown.instances[0].instance_id))
        commands.append(f"patchwright eval view {arguments}")
    return commands


def _arguments(words: Iterable[str]) -> str:
    """For a shell, and not to be taken for options."""
    words = list(words)
    no_options = ["--"] if any(word.startswith("-") for word in words) else []
    return " ".join([*no_options, *map(_quoted, words)])


def _quoted(word: str) -> str:
    safe = inert_line(word)
    return safe if re.fullmatch(r"[\w@%+=:,./-]+", safe) else "'" + safe.replace("'", "'\"'\"'") + "'"


def _published(table: PublishedTable) -> str:
    rows = [(row.model, row.scaffold, f"{row.resolve_rate:.1f} %", table.label) for row in table.rows]
    return (
        f"## {table.benchmark}: {table.label}\n\nFrom {table.source}.\n\n"
        f"{_table(('model', 'scaffold', 'resolve rate', ''), rows)}"
    )


def _named(title: str, instance_ids: Sequence[str]) -> list[str]:
    if not instance_ids:
        return []
    shown = ", ".join(_text(instance_id) for instance_id in instance_ids[:NAMED_INSTANCES])
    more = len(instance_ids) - NAMED_INSTANCES
    return [f"{title}: {shown}{f' and {more} more' if more > 0 else ''}."]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_text(cell) for cell in line)} |" for line in lines)


def _text(text: str) -> str:
    """`text` as Markdown that says just that, on one line."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", inert(text).replace("\n", " ").replace("\t", " "))
