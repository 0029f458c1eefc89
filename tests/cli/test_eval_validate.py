"""`patchwright eval validate` as a process: verdicts, what is done already, and errors with a way out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evals.adder import make_mirror, make_row, write_rows
from tests.evals.dataset_hub import DATASET, hub
from tests.evals.lookalikes import quixbugs_checkout


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    base = make_mirror(tmp_path / "repos")
    mended = make_row(base, instance_id="ada__adder-2", patch="", FAIL_TO_PASS=["check_adder.py::test_sign"])
    return write_rows(tmp_path / "adders.jsonl", make_row(base), mended)


def validate(tmp_path: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "patchwright.cli.main", "eval", "validate", *arguments]
    own = environment | {"PATCHWRIGHT_DATA_DIR": str(tmp_path / "data")}
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False)


def test_verdicts_are_kept_and_not_made_twice(tmp_path: Path, rows: Path, environment: dict[str, str]) -> None:
    out = tmp_path / "verdicts.jsonl"
    arguments = (str(rows), "--repos", str(tmp_path / "repos"), "--out", str(out), "--workers", "2")
    first = validate(tmp_path, environment, *arguments)
    assert first.returncode == 0, first.stderr
    assert "ada__adder-1: can be graded" in first.stderr
    assert "ada__adder-2: cannot: the base passes already" in first.stderr
    assert "this machine can grade 1 of 2, of 1 repositories" in first.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["instance_id"]: line["base"]["resolved"] for line in lines} == {
        "ada__adder-1": False,
        "ada__adder-2": True,
    }
    second = validate(tmp_path, environment, *arguments)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "can be graded" not in second.stderr


def test_a_dataset_of_hugging_face_is_fetched_by_its_name(tmp_path: Path, environment: dict[str, str]) -> None:
    base = make_mirror(tmp_path / "repos")
    with hub(make_row(base)) as endpoint:
        own = environment | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf")}
        done = validate(tmp_path, own, DATASET, "--repos", str(tmp_path / "repos"))
        assert done.returncode == 0, done.stderr
        assert "ada__adder-1: can be graded" in done.stderr
        other = validate(tmp_path, own, f"{DATASET}@dev")
    assert (other.returncode, "@SPLIT picks a split" in other.stderr) == (3, True), other.stderr


def test_exercises_are_validated_by_the_same_command(tmp_path: Path, environment: dict[str, str]) -> None:
    checkout = quixbugs_checkout(tmp_path / "checkout")
    own = environment | {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    done = validate(tmp_path, own, f"quixbugs:{checkout}")
    assert done.returncode == 0, done.stderr
    assert "quixbugs__double: can be graded" in done.stderr


def test_what_had_no_source_is_tried_again_and_what_has_a_verdict_is_not(
    tmp_path: Path, rows: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "empty").mkdir()
    offline = environment | {"https_proxy": "http://127.0.0.1:9"}
    failed = validate(tmp_path, offline, str(rows), "--repos", str(tmp_path / "empty"))
    assert (failed.returncode, failed.stderr.count(": cannot: ")) == (3, 2), failed.stderr
    tried = validate(tmp_path, environment, str(rows), "--repos", str(tmp_path / "repos"))
    assert (tried.returncode, "ada__adder-1: can be graded" in tried.stderr) == (0, True), tried.stderr
    known = validate(tmp_path, environment, str(rows), "--repos", str(tmp_path / "repos"))
    assert "ada__adder-2: cannot: the base passes already (found earlier; --again tries again)" in known.stderr
    assert "2/2" not in known.stderr
    again = validate(tmp_path, environment, str(rows), "--repos", str(tmp_path / "repos"), "--again")
    assert "2/2 ada__adder-2: cannot: the base passes already" in again.stderr


def test_a_file_that_holds_something_else_is_left_as_it_is(
    tmp_path: Path, rows: Path, environment: dict[str, str]
) -> None:
    rows.write_text(rows.read_text().splitlines()[0])
    before = rows.read_bytes()
    refused = validate(tmp_path, environment, str(rows), "--repos", str(tmp_path / "repos"), "--out", str(rows))
    assert (refused.returncode, "adders.jsonl:1: " in refused.stderr) == (2, True), refused.stderr
    assert rows.read_bytes() == before


def test_ids_are_names_of_directories(tmp_path: Path, environment: dict[str, str]) -> None:
    base = make_mirror(tmp_path / "repos")
    rows = write_rows(tmp_path / "up.jsonl", make_row(base, instance_id="../../up"))
    refused = validate(tmp_path, environment, str(rows), "--repos", str(tmp_path / "repos"))
    assert (refused.returncode, "'../../up' cannot be the name of a directory" in refused.stderr) == (3, True)


def test_what_is_named_wrongly_is_said(tmp_path: Path, rows: Path, environment: dict[str, str]) -> None:
    for arguments, sentence in (
        (("--only", "ada__adder-7"), "has no instance ada__adder-7"),
        (("--repo", "grace"), "has no instance of grace"),
        (("--timeout", "inf"), "should be less than"),
        (("--environments", "docker"), "no Docker engine answers"),
    ):
        refused = validate(tmp_path, environment | {"PATCHWRIGHT_SANDBOX__DOCKER": "none"}, str(rows), *arguments)
        assert refused.returncode in (2, 3)
        assert sentence in refused.stderr
        assert "hint: " in refused.stderr or "Usage: " in refused.stderr


def test_none_that_can_be_graded_is_a_failure_with_its_reason(
    tmp_path: Path, rows: Path, environment: dict[str, str]
) -> None:
    unknown = make_row("0" * 40, install_config=None, eval_script="true", log_parser="parse_log_pytest")
    write_rows(rows, unknown)
    failed = validate(tmp_path, environment, str(rows), "--repos", str(tmp_path / "repos"))
    assert failed.returncode == 3
    assert "cannot: nothing says how an environment for ada/adder 1.0 is made" in failed.stderr
    assert "this machine can grade 0 of 1" in failed.stderr
