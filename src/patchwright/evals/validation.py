"""What this machine can grade: instances whose gold patch is resolved here, and whose base is not."""

import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import TypeAdapter

from patchwright.errors import PatchwrightError
from patchwright.evals.base import Benchmark
from patchwright.evals.grading import GRADING_LOG
from patchwright.evals.rows import rows_hash
from patchwright.lock import locked
from patchwright.schema.instance import Grade, Instance, Prediction
from patchwright.schema.record import Record, is_torn, parse_line

_BEGINNING = b'{"instance_id":"'


class Validation(Record):
    """What grading an instance's gold patch and its base showed."""

    instance_id: str
    repo: str
    version: str
    row: str = ""
    """The hash of the row that was graded. Those of versions that did not note it fit no row."""
    gold: Grade | None = None
    base: Grade | None = None
    problem: str = ""
    """Why there is no grade: no environment, no source."""
    seconds: float = 0.0

    @property
    def graded(self) -> bool:
        """Whether the tests had a word on both. Else nothing is known: there may be a network the next time."""
        return self.gold is not None and self.base is not None

    @property
    def gradable(self) -> bool:
        return self.gold is not None and self.gold.resolved and self.base is not None and not self.base.resolved

    @property
    def why_not(self) -> str:
        """Why this machine cannot grade it; empty where it can."""
        if self.gradable:
            return ""
        if self.gold is None or self.base is None:
            return self.problem
        if self.base.resolved:
            return "the base passes already"
        return self.gold.problem or _failed_tests(self.gold)


async def validated(benchmark: Benchmark, instance: Instance, directory: Path) -> Validation:
    """Both grades, in empty directories that are made below `directory`. What cannot be graded is said, not raised."""
    started = time.monotonic()
    about = Validation(
        instance_id=instance.instance_id, repo=instance.repo, version=instance.version, row=rows_hash([instance])
    )
    grades: dict[str, Grade] = {}
    problem = ""
    try:
        for name, patch in (("gold", instance.patch), ("base", "")):
            (directory / name).mkdir(parents=True)
            prediction = Prediction(instance_id=instance.instance_id, model_name_or_path=name, model_patch=patch)
            grades[name] = await benchmark.grade(instance, prediction, directory / name)
    except PatchwrightError as error:
        problem = error.with_hint
    except OSError as error:
        problem = f"{error.filename or directory}: {(error.strerror or str(error)).lower()}"
    except Exception as error:  # whatever one instance fails with is its verdict: the others go on
        problem = f"{type(error).__name__}: {error}"
    return about.model_copy(update={**grades, "problem": problem, "seconds": round(time.monotonic() - started, 1)})


def read_validations(file: Path, instances: Iterable[Instance]) -> Mapping[str, Validation]:
    """Those on `instances`, by id; the last one counts. One on another row of the same id, and a last line that was cut
    off, are as good as none.

    Raises RecordError where there is anything else in the file.
    """
    adapter = TypeAdapter(Validation)
    rows = {instance.instance_id: rows_hash([instance]) for instance in instances}
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    found: dict[str, Validation] = {}
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n") and is_torn(line, _BEGINNING):
            break
        validation = parse_line(adapter, line, file, number)
        if validation.row == rows.get(validation.instance_id):
            found[validation.instance_id] = validation
    return found


def append_validation(file: Path, validation: Validation) -> None:
    """One line more; what an interruption left of a line is cut off first. Others may do the same meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.with_suffix(".lock")), file.open("ab") as lines:
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if is_torn(content[whole:], _BEGINNING):
            lines.truncate(whole)
        else:
            lines.write(b"\n")
        lines.write(validation.model_dump_json().encode() + b"\n")


def keep_logs(directory: Path, kept: Path) -> None:
    """The logs that `validated` has left below `directory`, as kept/gold.log and kept/base.log."""
    for name in ("gold", "base"):
        if (log := directory / name / GRADING_LOG).is_file():
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, kept / f"{name}.log")


def _failed_tests(gold: Grade) -> str:
    if gold.pass_to_pass_broken:
        return f"with the gold patch, {_some(gold.pass_to_pass_broken)} of PASS_TO_PASS do not pass"
    return "with the gold patch, not all of FAIL_TO_PASS pass"


def _some(names: tuple[str, ...]) -> str:
    return f"{len(names)} ({names[0]}{', …' if len(names) > 1 else ''})"
