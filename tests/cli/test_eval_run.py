"""`patchwright eval run` as a user runs it: processes of its own, a real sandbox, a scripted endpoint."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.evals.swebench import NO_RECIPE, NO_TESTS
from patchwright.schema.attempt import Attempt, RunFacts
from tests.engines.waiting import wait_until
from tests.evals.adder import make_mirror, make_row, write_rows
from tests.evals.lookalikes import quixbugs_checkout

from .endpoint import Call, serving

EVAL_RUN = [sys.executable, "-m", "patchwright.cli.main", "eval", "run"]
EDIT: Call = (
    "str_replace_editor",
    {"command": "str_replace", "path": "python_programs/double.py", "old_str": " + 1", "new_str": ""},
)
FINISH: Call = ("finish", {"message": "double doubles now"})


@pytest.fixture
def own(environment: dict[str, str]) -> dict[str, str]:
    """With the Python that runs these tests, which has pytest."""
    return environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def eval_run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*EVAL_RUN, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_a_benchmark_runs_and_goes_on_where_it_was(own: dict[str, str], tmp_path: Path) -> None:
    checkout, out = quixbugs_checkout(tmp_path / "quixbugs"), tmp_path / "run"
    with serving(EDIT, FINISH) as endpoint:
        address = endpoint.url.replace("://", "://me:secret@")
        arguments = [f"quixbugs:{checkout}", "--base-url", address, "--out", str(out), "--time-limit", "90"]
        first = eval_run(own, *arguments)
        again = eval_run(own, *arguments)
        (checkout / "correct_python_programs" / "double.py").write_text("def double(n):\n    return 2 * n\n")
        other = eval_run(own, *arguments)
    assert first.returncode == 0, first.stderr
    assert first.stdout == "1 of 1 attempts resolved\n"
    assert "[1/1] quixbugs__double attempt 1: resolved, done" in first.stderr
    assert (again.stdout, again.returncode) == (first.stdout, 0)
    assert "1 of 1 attempts are over already" in again.stderr
    assert "1 of 1 instances were never validated here" in first.stderr
    assert (other.returncode, "its rows are others" in other.stderr) == (2, True), other.stderr
    facts = RunFacts.model_validate_json((out / "run.json").read_bytes())
    assert (facts.benchmark, facts.model, facts.scaffold) == ("quixbugs", "scripted", "run")
    assert facts.command.startswith("patchwright eval run ")
    assert (f"--out {out}" in facts.command, "secret" in facts.command) == (True, False)
    attempt = Attempt.model_validate_json((out / "attempts" / "quixbugs__double" / "1" / "attempt.json").read_bytes())
    assert (attempt.resolved, attempt.steps, attempt.tries) == (True, 2, 1)
    events = (out / "attempts" / "quixbugs__double" / "1" / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in events]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")


# Answers as an engine would, and runs on a copy of the project what was to run in the container.
DOCKER = """#!/bin/bash
[ "$1" = run ] || exit 0
echo run >> "$0.log"
given=$(sed -n 's/.*source=\\([^,]*\\),.*/\\1/p' <<< "$*")
testbed=$(mktemp -d)
git clone --quiet {mirror} "$testbed"; git -C "$testbed" checkout --quiet {base}
sed -i "s|/testbed|$testbed|g" "$given/eval.sh"
until [ "$1" = -c ]; do shift; done
exec bash -c "$(sed "s|/patchwright/|$given/|g; s|/testbed|$testbed|g" <<< "$2")"
"""
MEND: Call = (
    "str_replace_editor",
    {"command": "str_replace", "path": "adder.py", "old_str": "a - b", "new_str": "a + b"},
)


def test_what_was_validated_in_images_is_graded_in_them(own: dict[str, str], tmp_path: Path) -> None:
    base = make_mirror(tmp_path / "repos")
    rows = write_rows(tmp_path / "adders.jsonl", make_row(base, docker_image="adder:latest"))
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(mirror=tmp_path / "repos" / "ada__adder", base=base))
    docker.chmod(0o755)
    own |= {"PATCHWRIGHT_SANDBOX__DOCKER": str(docker), "PATCHWRIGHT_DATA_DIR": str(tmp_path / "data")}
    in_images = ("--repos", str(tmp_path / "repos"), "--environments", "docker")
    command = [*EVAL_RUN[:-1], "validate", str(rows), *in_images]
    validated = subprocess.run(command, env=own, capture_output=True, text=True, timeout=240, check=False)
    assert (validated.returncode, "ada__adder-1: can be graded" in validated.stderr) == (0, True), validated.stderr
    out = tmp_path / "run"
    with serving(MEND, FINISH) as endpoint:
        arguments = (str(rows), *in_images, "--base-url", endpoint.url, "--out", str(out))
        ended = eval_run(own, *arguments)
        assert ended.stdout == "1 of 1 attempts resolved\n", ended.stderr
        refused = eval_run(own, *arguments, "--environments", "local")
        assert (refused.returncode, "its graded_in is docker, not local" in refused.stderr) == (2, True)
        for bench in (str(write_rows(tmp_path / "plain.jsonl", make_row(base))), f"quixbugs:{tmp_path}"):
            other = eval_run(own, bench, *arguments[1:])
            assert (other.returncode, "official image" in other.stderr) == (2, True), other.stderr
    facts = RunFacts.model_validate_json((out / "run.json").read_bytes())
    assert (facts.graded_in, facts.validated) == ("docker", 1)
    official = json.loads((out / "swebench.json").read_text())
    assert (official["resolved_ids"], official["total_instances"]) == (["ada__adder-1"], 1)
    assert docker.with_name("docker.log").read_text().split() == ["run"] * 3  # gold, base, and the attempt


def test_rows_that_say_too_little_are_excluded_and_tests_have_a_time_limit(own: dict[str, str], tmp_path: Path) -> None:
    base, out = make_mirror(tmp_path / "repos"), tmp_path / "run"
    hanging = make_row(base, install_config={**make_row(base)["install_config"], "test_cmd": "sleep 120"})
    without = make_row(base, instance_id="ada__adder-2", install_config=None, eval_script="true")
    strange = make_row(base, instance_id="ada__adder-3", repo="swesmith/ada__adder.0123456", install_config=None)
    untested = make_row(base, instance_id="ada__adder-4", install_config={"python": "3.12"})
    unread = make_row(base, instance_id="ada__adder-5", install_config={"python": "3.12"}, eval_script="true")
    rows = write_rows(tmp_path / "adders.jsonl", hanging, without, strange, untested, unread)
    own |= {"PATCHWRIGHT_DATA_DIR": str(tmp_path / "data")}
    with serving(MEND, FINISH) as endpoint:
        places = ("--repos", str(tmp_path / "repos"), "--base-url", endpoint.url, "--out", str(out))
        ended = eval_run(own, str(rows), *places, "--timeout", "1")
    assert ended.returncode == 0, ended.stderr
    facts = RunFacts.model_validate_json((out / "run.json").read_bytes())
    assert facts.instance_ids == ("ada__adder-1",)
    assert facts.excluded == {
        "ada__adder-2": NO_RECIPE,
        "ada__adder-3": "swesmith has no profile of it",
        "ada__adder-4": NO_TESTS,
        "ada__adder-5": NO_TESTS,
    }
    attempt = Attempt.model_validate_json((out / "attempts" / "ada__adder-1" / "1" / "attempt.json").read_bytes())
    assert attempt.grade is not None
    assert attempt.grade.problem == "the tests took more than 1 s"
    assert json.loads((out / "swebench.json").read_text())["error_ids"] == ["ada__adder-1"]


def test_interrupted_it_keeps_nothing_of_what_was_going_on(own: dict[str, str], tmp_path: Path) -> None:
    checkout, out = quixbugs_checkout(tmp_path / "quixbugs"), tmp_path / "run"
    with serving() as endpoint:  # never answers
        command = [*EVAL_RUN, f"quixbugs:{checkout}", "--base-url", endpoint.url, "--out", str(out)]
        with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda: bool(endpoint.requests), timeout_s=90)
            process.send_signal(signal.SIGINT)
            stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == "0 of 0 attempts resolved; 1 attempts are still to be made\n"
    assert not list(out.glob("attempts/*/*/attempt.json"))


def test_a_run_keeps_to_what_was_known_when_it_began(own: dict[str, str], tmp_path: Path) -> None:
    base = make_mirror(tmp_path / "repos")
    mended = make_row(base, instance_id="ada__adder-2", patch="", FAIL_TO_PASS=["check_adder.py::test_sign"])
    rows = write_rows(tmp_path / "adders.jsonl", make_row(base), mended)
    own |= {"PATCHWRIGHT_DATA_DIR": str(tmp_path / "data")}
    places = (str(rows), "--repos", str(tmp_path / "repos"))
    with serving(MEND, FINISH, MEND, FINISH, MEND, FINISH) as endpoint:
        began = eval_run(own, *places, "--base-url", endpoint.url, "--out", str(tmp_path / "run"))
        assert f"`patchwright eval validate {rows} --repos {tmp_path / 'repos'}` before the run" in began.stderr
        validate = [*EVAL_RUN[:-1], "validate", *places]
        assert subprocess.run(validate, env=own, capture_output=True, timeout=240, check=False).returncode == 0
        goes_on = eval_run(own, *places, "--base-url", endpoint.url, "--out", str(tmp_path / "run"))
        assert goes_on.stdout == began.stdout == "2 of 2 attempts resolved\n", goes_on.stderr
        anew = eval_run(own, *places, "--base-url", endpoint.url, "--out", str(tmp_path / "new"))
        assert anew.stdout == "1 of 1 attempts resolved\n", anew.stderr
        none = eval_run(own, *places, "--base-url", endpoint.url, "--out", str(tmp_path / "no"), "--only", "adder-2")
    assert (none.returncode, "none of the instances: ada__adder-2: the base passes already" in none.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["quixbugs:CHECKOUT", "--time-limit", "inf"], "should be less than"),
        (["quixbugs:CHECKOUT", "--timeout", "inf"], "should be less than"),
        (["quixbugs:CHECKOUT", "--ray-memory", "inf"], "should be less than"),
        (["quixbugs:CHECKOUT", "--repos", "/nowhere"], "does not exist"),
        (["nothing:x"], "no benchmark nothing:x"),
        (["quixbugs:/nowhere"], "holds no python_testcases"),
        (["quixbugs:CHECKOUT", "--only", "treble"], "no instance treble"),
        (["quixbugs:CHECKOUT", "--scaffold", "nobody"], "no scaffold nobody"),
        (["quixbugs:CHECKOUT", "--strategy", "resolve:luck"], "no scaffold resolve:luck"),
    ],
)
def test_bad_input_is_a_clear_word(own: dict[str, str], tmp_path: Path, arguments: list[str], word: str) -> None:
    checkout = quixbugs_checkout(tmp_path / "quixbugs")
    given = [argument.replace("CHECKOUT", str(checkout)) for argument in arguments]
    result = eval_run(own, *given, "--out", str(tmp_path / "run"), "--base-url", "http://127.0.0.1:9/v1")
    assert result.returncode in (2, 3)
    assert word in result.stderr
    assert not (tmp_path / "run").exists()
