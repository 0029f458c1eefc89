"""Logs of tests as grades, and grades as the official report: all of it by swebench's own code.

swebench imports datasets and more, which takes seconds: it is imported when the first log is graded.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from patchwright.errors import BenchmarkError
from patchwright.evals.eval_script import END, START
from patchwright.evals.uv import EXTRA_HINT
from patchwright.schema.instance import Grade, Instance, Prediction

LOGS = Path("logs/run_evaluation")
"""Where swebench looks for logs and reports, below the current directory: RUN/MODEL/INSTANCE."""
GRADING_LOG = "grading.log"
"""What a benchmark calls what the tests said."""
LOG = "test_output.txt"
REPORT = "report.json"

_TEST_STATUS = "tests_status"
_MAKE_RUN_REPORT = """\
import json, sys
from swebench.harness.reporting import make_run_report
given = json.load(sys.stdin)
make_run_report(given["predictions"], given["rows"], given["run_id"], report_dir=given["report_dir"])
"""


def official_script(instance: Instance) -> str:
    """The instance's script as swebench runs it: it notes the exit code of the tests, too. Raises BenchmarkError."""
    return str(_test_spec(instance).eval_script)


def graded(instance: Instance, prediction: Prediction, log: Path) -> Grade:
    """The verdict of swebench's grader on a log. Its report is left beside the log. Raises BenchmarkError."""
    spec = _test_spec(instance)
    official: dict[str, Any] = _swebench("grading").get_eval_report(
        spec, prediction.model_dump(), str(log), include_tests_status=True
    )
    log.with_name(REPORT).write_text(json.dumps(official, indent=4), encoding="utf-8")
    report = official[instance.instance_id]
    tests = report.get(_TEST_STATUS)
    if tests is None:
        return Grade(instance_id=instance.instance_id, resolved=False, problem=_why_nothing(report, log))
    return Grade(
        instance_id=instance.instance_id,
        resolved=bool(report["resolved"]),
        fail_to_pass=tuple(tests["FAIL_TO_PASS"]["success"]),
        pass_to_pass_broken=tuple(tests["PASS_TO_PASS"]["failure"]),
    )


def official_report(
    instances: Sequence[Instance], predictions: Sequence[Prediction], reports: Mapping[str, Path], *, run_id: str
) -> str:
    """The report that `swebench eval` writes for a whole set, as JSON. `reports` are report.json files by instance
    id, as `graded` has left them; an instance that has none counts as an error, as it does there.

    Raises BenchmarkError.
    """
    with TemporaryDirectory(prefix="patchwright-") as scratch:
        for prediction in predictions:
            if report := reports.get(prediction.instance_id):
                model = prediction.model_name_or_path.replace("/", "__")
                place = Path(scratch) / LOGS / run_id / model / prediction.instance_id
                place.mkdir(parents=True)
                (place / REPORT).write_bytes(report.read_bytes())
                if (log := report.with_name(GRADING_LOG)).is_file():
                    (place / LOG).write_bytes(log.read_bytes())
        given = {
            "predictions": {each.instance_id: each.model_dump() for each in predictions},
            "rows": [{"instance_id": each.instance_id, "image": each.image} for each in instances],
            "run_id": run_id,
            "report_dir": "written",
        }
        # A process of its own: it looks for logs below its current directory, and prints.
        result = subprocess.run(
            [sys.executable, "-c", _MAKE_RUN_REPORT],
            input=json.dumps(given),
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise BenchmarkError(f"swebench cannot write its report: {result.stderr.strip().splitlines()[-1]}")
        (written,) = (Path(scratch) / "written").iterdir()
        return written.read_text(encoding="utf-8")


def _test_spec(instance: Instance) -> Any:
    if not instance.eval_script:
        raise BenchmarkError(
            f"{instance.instance_id} has neither an eval_script nor a test_cmd: there is nothing to run",
            hint="rows as swebench 5 has them carry an eval_script; so do those with install_config.test_cmd",
        )
    row = instance.model_dump(by_alias=True)
    row |= {name: list(row[name]) for name in ("FAIL_TO_PASS", "PASS_TO_PASS")}
    registry = _swebench("log_parsers").PARSER_REGISTRY
    if instance.log_parser not in registry:
        raise BenchmarkError(
            f"{instance.instance_id}: swebench has no log parser {instance.log_parser!r}",
            hint=f"it has {', '.join(sorted(registry)[:3])}, …",
        )
    return _swebench("utils").make_test_spec(row)


def _swebench(module: str) -> Any:
    try:
        return import_module(f"swebench.harness.{module}")
    except ImportError as error:
        raise BenchmarkError(f"swebench cannot be imported: {error}", hint=EXTRA_HINT) from None


def _why_nothing(report: Mapping[str, Any], log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").rpartition(START)[2].partition(END)[0]
    # Lines with a + are the script's own, as bash traces them.
    lines = [line.strip() for line in said.splitlines() if line.strip(" :'") and not line.startswith("+ ")]
    reason = report.get("infra_failure_reason") or (lines[-1][:200] if lines else "it is empty")
    return f"the log says nothing about the tests: {reason}"


def statuses(log_parser: str, log: str) -> dict[str, str]:
    """What swebench's parser reads from the output of tests: "PASSED", "FAILED", … by test. Raises BenchmarkError."""
    return _swebench("log_parsers").PARSER_REGISTRY[log_parser](log, None)
