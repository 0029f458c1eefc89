"""The directory of a run: what it is, and each attempt, whole or not there at all."""

import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from patchwright.errors import ConfigError, RecordError
from patchwright.evals.base import check_ids
from patchwright.evals.grading import REPORT, official_report
from patchwright.lock import try_lock
from patchwright.schema.attempt import Attempt, RunFacts
from patchwright.schema.instance import Instance, Prediction

_SAME = (
    "benchmark",
    "graded_in",
    "model",
    "scaffold",
    "attempts",
    "time_limit_s",
    "test_timeout_s",
    "instance_ids",
    "rows",
    "excluded",
    "patchwright",
)
"""The facts that make a run the same run. Its directory may move, and go on at another machine."""

_BEFORE_ITS_FACTS = {"attempts", "lock", ".run.json.new"}
"""What a runner that was killed at once leaves of a run."""


class RunDirectory:
    """One run on disk, for whoever holds it open."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @contextmanager
    def open(self, facts: RunFacts) -> Generator[None]:
        """Holds the run, a new one or the one that is there already, against every other runner.

        Raises ConfigError when somebody else holds it, or when it is a run of something else or no run at all, and
        RecordError when its facts cannot be read.
        """
        check_ids(facts.instance_ids)
        self._make()
        with try_lock(self.path / "lock") as lock:
            if lock is None:
                hint = "wait for it to end, or name another directory"
                raise ConfigError(f"another runner is at work in {self.path}", hint=hint)
            self._settle(facts)
            shutil.rmtree(self.work, ignore_errors=True)
            try:
                yield
            finally:
                self._write_predictions(facts)

    def facts(self) -> RunFacts | None:
        """What the run is; None where there is none yet. Raises RecordError."""
        if not self._facts_file.exists():
            return None
        try:
            return RunFacts.model_validate_json(self._facts_file.read_bytes())
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"].lower()
            raise RecordError(f"{self._facts_file}: {problem}") from None

    @property
    def _facts_file(self) -> Path:
        return self.path / "run.json"

    @property
    def work(self) -> Path:
        """Where work trees are while an attempt goes on. What a killed runner left here is of no use to anyone."""
        return self.path / "work"

    def attempt_directory(self, instance_id: str, number: int) -> Path:
        return self.path / "attempts" / instance_id / str(number)

    def is_over(self, instance_id: str, number: int) -> bool:
        return (self.attempt_directory(instance_id, number) / "attempt.json").exists()

    def attempts(self) -> Iterator[Attempt]:
        """Those that are over, one at a time: a thousand patches need not fit into memory. Raises RecordError."""
        for path in sorted(self.path.glob("attempts/*/*/attempt.json")):
            try:
                yield Attempt.model_validate_json(path.read_bytes())
            except ValidationError as error:
                raise RecordError(f"{path}: {error.errors(include_url=False)[0]['msg'].lower()}") from None

    def keep(self, attempt: Attempt) -> None:
        """From here on the attempt is over."""
        directory = self.attempt_directory(attempt.instance_id, attempt.number)
        directory.mkdir(parents=True, exist_ok=True)
        _write_whole(directory / "patch.diff", attempt.patch)
        _write_whole(directory / "attempt.json", attempt.model_dump_json(indent=2))

    def forget_errors(self) -> int:
        """Removes the attempts that ended with an error, so that they are made again; how many there were."""
        errors = [attempt for attempt in self.attempts() if attempt.exit_reason == "error"]
        for attempt in errors:
            (self.attempt_directory(attempt.instance_id, attempt.number) / "attempt.json").unlink()
        return len(errors)

    def write_official_reports(self, facts: RunFacts, instances: Sequence[Instance]) -> None:
        """What `swebench eval` reports of a whole set, of rows that were graded: a file for each attempt at every
        instance. Raises BenchmarkError."""
        for number in range(1, facts.attempts + 1):
            predictions = tuple(self._predictions(facts, number))
            places = {each.instance_id: self.attempt_directory(each.instance_id, number) for each in predictions}
            reports = {name: place / REPORT for name, place in places.items() if (place / REPORT).is_file()}
            report = official_report(instances, predictions, reports, run_id=facts.name)
            _write_whole(self.path / _numbered("swebench.json", facts, number), report)

    def _write_predictions(self, facts: RunFacts) -> None:
        """What is over, in the official format: a file for each attempt at every instance."""
        for number in range(1, facts.attempts + 1):
            with _appearing(self.path / _numbered("predictions.jsonl", facts, number)) as file:
                file.writelines(each.model_dump_json() + "\n" for each in self._predictions(facts, number))

    def _predictions(self, facts: RunFacts, number: int) -> Iterator[Prediction]:
        for attempt in self.attempts():
            if attempt.number == number:
                yield prediction_of(facts, attempt.instance_id, "" if attempt.crashed else attempt.patch)

    def _make(self) -> None:
        try:
            there = {path.name for path in self.path.iterdir()} if self.path.exists() else set[str]()
            if "run.json" not in there and not there <= _BEFORE_ITS_FACTS:
                raise ConfigError(
                    f"{self.path} is no run's directory, and not empty", hint="name another directory with --out"
                )
            (self.path / "attempts").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path}: {(error.strerror or str(error)).lower()}") from None

    def _settle(self, facts: RunFacts) -> None:
        """The facts are written when the run is new, and must be the same when it is not."""
        there = self.facts()
        if there is None:
            _write_whole(self._facts_file, facts.model_dump_json(indent=2))
            return
        for name in _SAME:
            before, now = there.model_dump()[name], facts.model_dump()[name]
            if before not in (now, ""):  # as in a run of before there was such a fact
                raise ConfigError(
                    f"{self.path} holds another run: its {name} {_difference(before, now)}",
                    hint="name another directory with --out",
                )


def _difference(before: object, now: object) -> str:
    short = all(isinstance(each, int | float) or (isinstance(each, str) and len(each) < 60) for each in (before, now))
    return f"is {before}, not {now}" if short else "are others"


def prediction_of(facts: RunFacts, instance_id: str, patch: str) -> Prediction:
    return Prediction(instance_id=instance_id, model_name_or_path=f"{facts.model}-{facts.scaffold}", model_patch=patch)


def _numbered(name: str, facts: RunFacts, number: int) -> str:
    stem, dot, suffix = name.partition(".")
    return name if facts.attempts == 1 else f"{stem}-{number}{dot}{suffix}"


def _write_whole(path: Path, text: str) -> None:
    with _appearing(path) as file:
        file.write(text)


@contextmanager
def _appearing(path: Path) -> Generator[TextIO]:
    """The file appears with all of its contents, and is there after the power has failed."""
    draft = path.with_name(f".{path.name}.new")
    with draft.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
