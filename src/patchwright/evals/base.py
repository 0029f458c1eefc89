"""What a benchmark is."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from patchwright.errors import BenchmarkError, ConfigError
from patchwright.schema.instance import Grade, Instance, Prediction

LONGEST_ID_BYTES = 200
_SAFE_NAME = re.compile(r"[\w+=@-][\w.+=@-]*")


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


def check_ids(ids: Iterable[str]) -> None:
    """An instance's id is the name of a directory of its own. Raises BenchmarkError where one cannot be."""
    seen: set[str] = set()
    for instance_id in ids:
        if not _SAFE_NAME.fullmatch(instance_id) or len(os.fsencode(instance_id)) > LONGEST_ID_BYTES:
            raise BenchmarkError(f"{instance_id!r} cannot be the name of a directory")
        if instance_id in seen:
            raise BenchmarkError(f"two instances are called {instance_id}")
        seen.add(instance_id)


def named(instances: Sequence[Instance], names: Sequence[str]) -> Sequence[Instance]:
    """Those that have one of these ids, or one of these names after the `__` of their id; all where there are none.

    Raises ConfigError for a name that no instance has.
    """
    known = {each.instance_id: {each.instance_id, each.instance_id.partition("__")[2]} for each in instances}
    if unknown := sorted(set(names).difference(*known.values())):
        raise ConfigError(
            f"the benchmark has no instance {', '.join(unknown)}",
            hint=f"it has {len(known)}, such as {next(iter(known), 'none')}",
        )
    return [each for each in instances if not names or not known[each.instance_id].isdisjoint(names)]
