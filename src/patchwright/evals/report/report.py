"""What a report says, as records: the JSON form is this, the Markdown and HTML forms are views of it."""

from typing import Literal

from patchwright.evals.report.statistics import Rate, Spread
from patchwright.schema.attempt import ExitReason, RunFacts
from patchwright.schema.messages import Usage
from patchwright.schema.record import Record

Exit = ExitReason | Literal["not over"]
"""`not over`: the attempt runs, or has not begun, or was lost. It counts as not resolved."""


class AttemptRow(Record):
    """An attempt, without its patch."""

    instance_id: str
    number: int
    resolved: bool
    exit: Exit
    detail: str = ""
    problem: str = ""
    """Why its grade has no test result, or that grading failed."""
    patch_lines: int = 0
    """Lines added and removed."""
    steps: int | None = None
    usage: Usage | None = None
    seconds: float | None = None
    tries: int = 0
    has_events: bool = False


class InstanceRow(Record):
    instance_id: str
    repo: str
    """Empty while no attempt at it is over."""
    resolved: int
    """So many of its attempts."""
    attempts: tuple[AttemptRow, ...]

    @property
    def over(self) -> bool:
        return all(attempt.exit != "not over" for attempt in self.attempts)


class RepositoryRow(Record):
    repo: str
    instances: int
    rate: Rate
    median_seconds: float | None


class PassAt(Record):
    k: int
    rate: float


class Costs(Record):
    """Of the attempts that are over; for each quantity, of those that say."""

    seconds: Spread
    steps: Spread
    prompt_tokens: Spread
    cached_tokens: Spread
    completion_tokens: Spread


class RunReport(Record):
    """A run, counted."""

    facts: RunFacts
    directory: str
    over: int
    """Attempts that are over."""
    rate: Rate
    pass_at: tuple[PassAt, ...]
    costs: Costs
    exits: dict[Exit, int]
    repositories: tuple[RepositoryRow, ...]
    instances: tuple[InstanceRow, ...]

    @property
    def in_progress(self) -> bool:
        return self.over < self.rate.of


class Comparison(Record):
    """Two runs on the instances that both have, where all attempts of both are over."""

    version: Literal[1] = 1
    first: str
    second: str
    """What they are called: by name, or by directory where several runs have the same name."""
    benchmark: str
    instances: int
    first_rate: Rate
    second_rate: Rate
    first_better: tuple[str, ...]
    """Instances of which the first run resolved a greater share of its attempts."""
    second_better: tuple[str, ...]
    both: int
    """Instances that both resolved with every attempt."""
    neither: int
    """Instances that neither resolved with any attempt."""
    test: Literal["exact McNemar test", "exact sign test"]
    """The second where an instance was attempted more than once."""
    p_value: float
    """Of the test, two-sided, on the instances where one is better."""
    first_costs: Costs
    second_costs: Costs
    only_in_one: int
    """Instances that count in one of the runs alone."""
    not_over: int
    """Instances of both that are left out because an attempt is not over."""
    differences: tuple[str, ...] = ()
    """In what else the runs differ that decides what is resolved: rows, where they were graded, time limits."""


class Published(Record):
    """A result that somebody else published."""

    model: str
    scaffold: str
    resolve_rate: float
    """In percent."""


class PublishedTable(Record):
    benchmark: str
    source: str
    label: Literal["published, not measured here"]
    rows: tuple[Published, ...]


class Report(Record):
    format: Literal["patchwright.report"] = "patchwright.report"
    version: Literal[1] = 1
    created: str
    """ISO 8601, UTC."""
    patchwright: str
    """The version of Patchwright that wrote it."""
    runs: tuple[RunReport, ...]
    comparisons: tuple[Comparison, ...] = ()
    """Every two runs of the same benchmark."""
    published: PublishedTable
