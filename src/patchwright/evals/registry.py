"""The benchmarks that a user names as NAME:PLACE, by name."""

from collections.abc import Callable
from pathlib import Path

from patchwright.errors import ConfigError
from patchwright.evals.base import Benchmark
from patchwright.evals.exercism import exercism, polyglot
from patchwright.evals.humanevalfix import humanevalfix
from patchwright.evals.quixbugs import quixbugs

Maker = Callable[[Path, str], Benchmark]
"""From where it lies, and the PATH of its programs."""

BENCHMARKS: dict[str, Maker] = {
    "exercism": exercism,
    "humanevalfix": humanevalfix,
    "polyglot": polyglot,
    "quixbugs": quixbugs,
}


def benchmark_named(reference: str, path: str) -> Benchmark:
    """Raises ConfigError for a name that nobody knows, BenchmarkError and RecordError for what lies there."""
    name, colon, place = reference.partition(":")
    if not colon or name not in BENCHMARKS:
        known = ", ".join(f"{each}:PLACE" for each in BENCHMARKS)
        raise ConfigError(f"no benchmark {reference}", hint=f"there are {known}")
    return BENCHMARKS[name](Path(place), path)
