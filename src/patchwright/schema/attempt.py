"""One attempt at an instance, and the facts of the run it belongs to, as they are kept in a run's directory.

A run's directory holds `run.json` (RunFacts) and, for each attempt, `attempts/INSTANCE/NUMBER/` with `attempt.json`
(Attempt; it appears whole or not at all, and once it is there the attempt is over), `patch.diff`, `events.jsonl` (the
events, where the scaffold is Patchwright's own), `scaffold.log`, `grading.log` and, of rows, swebench's `report.json`.
"""

from typing import Literal

from pydantic import Field

from patchwright.schema.instance import Grade
from patchwright.schema.messages import Usage
from patchwright.schema.record import Record, Seconds

ExitReason = Literal["done", "limit", "gave_up", "error"]
"""How an attempt ended: by itself with a patch to show, at a limit of time, steps or tokens, by itself without a
patch, or by a crash of the scaffold or its environment."""

Environments = Literal["local", "docker"]
"""Where patches are graded: in environments of this machine, or in the official images."""


class RunFacts(Record):
    """What a run is: the same for all of its attempts. Two runs are comparable when their benchmarks are the same."""

    version: Literal[1] = 1
    name: str
    benchmark: str
    model: str
    scaffold: str
    """Whose agent worked, and how: "run", "run:small", "resolve:agent", "mini-swe-agent"."""
    attempts: int
    """So many for each instance."""
    time_limit_s: float
    test_timeout_s: float = 1800.0
    """For one run of the tests of a row."""
    instance_ids: tuple[str, ...]
    """All that count, those without any attempt too."""
    rows: str = ""
    """A hash of them as they were: other rows may have the same ids."""
    excluded: dict[str, str] = {}
    """Instances that were named and do not count, with the reason: this machine cannot grade them."""
    graded_in: Environments = "local"
    validated: int | None = None
    """So many of `instance_ids` were known to be gradable there when the run began; None where nobody said."""
    machine: str = ""
    patchwright: str = ""
    """Its version."""
    command: str = ""
    """What started the run, as a shell would take it."""


class Attempt(Record):
    """The outcome of one attempt."""

    version: Literal[1] = 1
    instance_id: str
    number: int
    """From 1."""
    repo: str
    exit_reason: ExitReason
    detail: str = ""
    """The scaffold's own word for it: "step_limit", "verified", an error's text."""
    patch: str
    steps: int | None = Field(default=None, ge=0)
    """Policy calls; None where the scaffold does not say."""
    usage: Usage | None = None
    seconds: Seconds
    tries: int = Field(default=1, ge=1)
    """2 where the first try crashed and was repeated."""
    grade: Grade | None = None
    """None where grading failed: the attempt counts as not resolved."""

    @property
    def crashed(self) -> bool:
        """The scaffold did: where grading failed, there is no grade, and the patch may be a good one."""
        return self.exit_reason == "error" and self.grade is not None

    @property
    def resolved(self) -> bool:
        """What a scaffold that crashed had changed by then does not count, whatever the tests say of it."""
        return self.exit_reason != "error" and self.grade is not None and self.grade.resolved
