"""What a benchmark is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from patchwright.schema.instance import Grade, Instance, Prediction


@dataclass(frozen=True)
class Workspace:
    """An instance made ready to be worked on."""

    tree: Path
    """A git repository of one commit: nothing of the instance's future is in it."""
    path: str
    """The PATH under which the project's own programs are found."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further variables that its commands need."""
    readable: tuple[Path, ...] = ()
    """Where the environment is: what a sandbox must show, read-only."""
    hidden: tuple[Path, ...] = ()
    """What gives the answers away: what a sandbox must not show."""
    test_command: str | None = None
    """The tests that the one who works on it may run; None where there are none to run."""


class Benchmark(Protocol):
    """Instances that can be made ready and graded. A directory that is handed in is empty, and the caller's."""

    @property
    def name(self) -> str: ...

    def instances(self) -> Sequence[Instance]:
        """All of them, in an order that is always the same. Raises BenchmarkError and RecordError."""
        ...

    async def prepare(self, instance: Instance, directory: Path) -> Workspace:
        """The work tree below `directory`, with its environment. Raises BenchmarkError."""
        ...

    async def grade(self, instance: Instance, prediction: Prediction, directory: Path) -> Grade:
        """The verdict on a prediction, from a fresh tree below `directory`; what the tests said, if it is kept, in
        `directory / "grading.log"`.

        An empty patch is tried as any other: the tests' word on the base. A patch that does not apply or whose tests
        say nothing is a Grade with a problem. Raises BenchmarkError
        when the tests could not be started at all, and SandboxError.
        """
        ...
