"""The benchmarks that a user names: as NAME:PLACE or NAME:URL, or as rows of the SWE-bench family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from patchwright.errors import ConfigError
from patchwright.evals.base import Benchmark
from patchwright.evals.checkouts import Checkouts
from patchwright.evals.environments import Environments
from patchwright.evals.exercises import Exercises
from patchwright.evals.exercism import exercism, polyglot
from patchwright.evals.humanevalfix import humanevalfix
from patchwright.evals.images import Images
from patchwright.evals.origins import Fetch, fetch_file, fetch_repository, is_url, repository_here
from patchwright.evals.quixbugs import quixbugs
from patchwright.evals.rows import FILE_KINDS
from patchwright.evals.swebench import TEST_TIMEOUT_S, SweBench
from patchwright.evals.trees import Trees
from patchwright.evals.validation import Validation, read_validations
from patchwright.sandbox.settings import SandboxSettings

Maker = Callable[[Path, str], Exercises]
"""From where it lies, and the PATH of its programs."""


@dataclass(frozen=True)
class Source:
    """What a benchmark is made from."""

    make: Maker
    fetch: Fetch


BENCHMARKS: dict[str, Source] = {
    "exercism": Source(exercism, fetch_repository),
    "humanevalfix": Source(humanevalfix, fetch_file),
    "polyglot": Source(polyglot, fetch_repository),
    "quixbugs": Source(quixbugs, fetch_repository),
}


@dataclass(frozen=True)
class Places:
    """Where benchmarks find what they need."""

    path: str
    """The PATH of programs."""
    data: Path
    """Where trees, environments, verdicts, and what was fetched from URLs are kept."""
    repos: Path | None
    """Git mirrors."""
    sandbox: SandboxSettings
    images: Images | None = None
    """The official ones, where patches are graded in them; None: in environments of this machine."""
    test_timeout_s: float = TEST_TIMEOUT_S
    """For one run of the tests of a row."""


def benchmark_named(reference: str, places: Places) -> Benchmark:
    """Raises ConfigError for a name that nobody knows or that has no images, where those are asked for;
    BenchmarkError and RecordError for what lies there, and for what cannot be fetched from there."""
    name, _, place = reference.partition(":")
    if has_a_name(reference):
        if places.images:
            raise ConfigError(f"{name} has no official images", hint="leave --environments out")
        return _exercises(BENCHMARKS[name], place, places)
    if Path(reference).suffix in FILE_KINDS or "/" in reference:
        environments = Environments(places.data / "environments", path=places.path)
        return SweBench(
            reference,
            Trees(places.data, repos=places.repos),
            environments,
            sandbox=places.sandbox,
            images=places.images,
            test_timeout_s=places.test_timeout_s,
        )
    known = ", ".join(f"{each}:PLACE" for each in BENCHMARKS)
    raise ConfigError(f"no benchmark {reference}", hint=f"there are {known}, and rows: a file or a dataset, owner/name")


def _exercises(source: Source, place: str, places: Places) -> Exercises:
    """All that was ever fetched is hidden: a benchmark may be among it a second time, by another URL. So is where it
    was fetched from, if that is on this machine."""
    checkouts = Checkouts((places.data / "checkouts").resolve())

    def make(path: Path) -> Exercises:
        return source.make(path, places.path)

    made = make(checkouts.fetched(place, source.fetch, check=make) if is_url(place) else Path(place))
    origin = repository_here(place)
    hidden = (*made.hidden, *((origin,) if origin else ()), checkouts.directory)
    return replace(made, settings=places.sandbox, hidden=hidden)


def has_a_name(reference: str) -> bool:
    """Whether it is NAME:PLACE or NAME:URL, and not rows."""
    name, colon, _ = reference.partition(":")
    return bool(colon) and name in BENCHMARKS


def verdicts(benchmark: Benchmark, places: Places) -> Mapping[str, Validation]:
    """What validating has found, by instance: where patches are graded in images, what they said, and so here."""
    return read_validations(verdicts_file(benchmark, places), benchmark.instances())


def verdicts_file(benchmark: Benchmark, places: Places) -> Path:
    """Where the verdicts on a benchmark's instances are kept."""
    return places.data / "validated" / f"{benchmark.name}{'-docker' if places.images else ''}.jsonl"
