"""The benchmarks that a user names: as NAME:PLACE, or as rows of the SWE-bench family."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from patchwright.errors import ConfigError
from patchwright.evals.base import Benchmark
from patchwright.evals.environments import Environments
from patchwright.evals.exercism import exercism, polyglot
from patchwright.evals.humanevalfix import humanevalfix
from patchwright.evals.quixbugs import quixbugs
from patchwright.evals.rows import FILE_KINDS
from patchwright.evals.swebench import SweBench
from patchwright.evals.trees import Trees
from patchwright.evals.validation import read_validations
from patchwright.sandbox.settings import SandboxSettings

Maker = Callable[[Path, str], Benchmark]
"""From where it lies, and the PATH of its programs."""

BENCHMARKS: dict[str, Maker] = {
    "exercism": exercism,
    "humanevalfix": humanevalfix,
    "polyglot": polyglot,
    "quixbugs": quixbugs,
}


@dataclass(frozen=True)
class Places:
    """Where benchmarks find what they need."""

    path: str
    """The PATH of programs."""
    data: Path
    """Where trees, environments and verdicts are kept."""
    repos: Path | None
    """Git mirrors."""
    sandbox: SandboxSettings


def benchmark_named(reference: str, places: Places) -> Benchmark:
    """Raises ConfigError for a name that nobody knows, BenchmarkError and RecordError for what lies there."""
    name, _, place = reference.partition(":")
    if has_a_name(reference):
        return BENCHMARKS[name](Path(place), places.path)
    if Path(reference).suffix in FILE_KINDS or "/" in reference:
        environments = Environments(places.data / "environments", path=places.path)
        return SweBench(reference, Trees(places.data, repos=places.repos), environments, sandbox=places.sandbox)
    known = ", ".join(f"{each}:PLACE" for each in BENCHMARKS)
    raise ConfigError(f"no benchmark {reference}", hint=f"there are {known}, and rows: a file or a dataset, owner/name")


def has_a_name(reference: str) -> bool:
    """Whether it is NAME:PLACE, and not rows."""
    name, colon, _ = reference.partition(":")
    return bool(colon) and name in BENCHMARKS


def excluded(benchmark: Benchmark, places: Places) -> dict[str, str]:
    """Instances that `patchwright eval validate` has found not to be gradable here, with the reason."""
    known = read_validations(verdicts_file(places.data, benchmark.name))
    return {each.instance_id: each.why_not for each in known.values() if not each.gradable}


def verdicts_file(data: Path, benchmark: str) -> Path:
    """Where the verdicts on a benchmark's instances are kept."""
    return data / "validated" / f"{benchmark}.jsonl"
