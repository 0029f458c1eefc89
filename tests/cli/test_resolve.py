"""`patchwright resolve` as a user runs it: a process of its own, a real sandbox and repository, a scripted endpoint."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from patchwright.agent.sessions import SessionStore
from patchwright.schema.events import EVENT, BaselineRun, Localised
from tests.conftest import FIXED, TEST_COMMAND, git

from .endpoint import Call, serving

PATCHWRIGHT = [sys.executable, "-m", "patchwright.cli.main", "resolve"]
TESTS = ["--test-command", TEST_COMMAND, "--strategy", "pipeline"]
ISSUE = "`add` in adder.py subtracts."
FIX = "```python\ndef add(a, b):\n    return a + b\n```"
WRONG = "```python\ndef add(a, b):\n    return a * b\n```"
EDIT: Call = (
    "str_replace_editor",
    {"command": "str_replace", "path": "adder.py", "old_str": "a - b", "new_str": "a + b"},
)
FINISH: Call = ("finish", {"message": "add adds now"})


def resolve(
    repository: Path, environment: dict[str, str], *arguments: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PATCHWRIGHT, *arguments],
        cwd=repository,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_verified_patch_is_applied_and_reported(repository: Path, environment: dict[str, str]) -> None:
    with serving([WRONG, FIX, FIX, FIX]) as endpoint:
        result = resolve(repository, environment, ISSUE, "--base-url", endpoint.url, *TESTS)
    assert result.returncode == 0, result.stderr
    assert "verified: candidate 2, the only verified one of 2 candidates, on which 3 proposals agree" in result.stdout
    assert "reproduction: failed before, passes after: the failing tests" in result.stdout
    assert "+    return a + b" in result.stdout
    assert (repository / "adder.py").read_text() == FIXED
    undo = [sys.executable, "-m", "patchwright.cli.main", "undo"]
    subprocess.run(undo, cwd=repository, env=environment, check=True, capture_output=True, timeout=60)
    assert git(repository, "status", "--porcelain") == ""


def test_a_patch_that_does_not_apply_any_more_leaves_nothing_to_undo(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The test command writes to the user's own tree when it passes for the second time, as the user may."""
    passed = tmp_path / "passed"
    changing = f"if test -e {passed}; then echo 'add = sum' > {repository / 'adder.py'}; else touch {passed}; fi"
    with serving([FIX] * 4) as endpoint:
        options = ["--base-url", endpoint.url, "--strategy", "pipeline", "--sandbox", "none"]
        result = resolve(repository, environment, ISSUE, *options, "--test-command", f"{TEST_COMMAND} && {changing}")
    assert (result.returncode, "the patch does not apply any more" in result.stderr) == (2, True), result.stderr
    undo = [sys.executable, "-m", "patchwright.cli.main", "undo"]
    undone = subprocess.run(undo, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert "nothing to undo" in undone.stderr
    assert (repository / "adder.py").read_text() == "add = sum\n"


def test_with_a_patch_file_the_tree_stays_as_it_is(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    patch, issue = tmp_path / "fix.patch", tmp_path / "issue.md"
    issue.write_text(ISSUE)
    with serving([FIX] * 4) as endpoint:
        options = ["--base-url", endpoint.url, "--patch", str(patch), *TESTS]
        result = resolve(repository, environment, str(issue), *options)
    assert result.returncode == 0, result.stderr
    assert git(repository, "status", "--porcelain") == ""
    git(repository, "apply", str(patch))
    assert (repository / "adder.py").read_text() == FIXED


def test_the_agent_strategy_takes_the_patch_from_a_run(repository: Path, environment: dict[str, str]) -> None:
    with serving(EDIT, FINISH) as endpoint:
        options = ["--base-url", endpoint.url, "--test-command", TEST_COMMAND]
        result = resolve(repository, environment, "-", *options, text=ISSUE)
    assert result.returncode == 0, result.stderr + result.stdout
    assert "asked for a rollout of 2 steps" in result.stdout
    assert (repository / "adder.py").read_text() == FIXED


def test_the_agent_strategy_commits_nothing_to_the_repository_of_a_linked_work_tree(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    git(repository, "worktree", "add", "--quiet", str(linked))
    head = git(linked, "rev-parse", "HEAD")
    commit: Call = ("execute_bash", {"command": "git -c user.name=A -c user.email=a@example.org commit -qam fix"})
    with serving(EDIT, commit, FINISH) as endpoint:
        options = ["--base-url", endpoint.url, "--test-command", TEST_COMMAND, "--sandbox", "none"]
        result = resolve(linked, environment, ISSUE, *options)
    assert result.returncode == 0, result.stderr + result.stdout
    assert (linked / "adder.py").read_text() == FIXED
    assert (git(linked, "rev-parse", "HEAD"), git(repository, "status", "--porcelain")) == (head, "")


def test_a_rollout_that_runs_out_of_time_is_judged_by_what_it_did(
    repository: Path, environment: dict[str, str]
) -> None:
    with serving(EDIT) as endpoint:  # and then never answers
        options = ["--base-url", endpoint.url, "--test-command", TEST_COMMAND, "--time-limit", "30"]
        result = resolve(repository, environment, ISSUE, *options)
    assert result.returncode == 0, result.stderr + result.stdout
    assert (repository / "adder.py").read_text() == FIXED


def test_a_patch_that_nothing_verifies_has_an_exit_code_of_its_own(
    repository: Path, environment: dict[str, str]
) -> None:
    (repository / "check_adder.py").unlink()
    with serving(["no program"] * 3, [FIX] * 4) as endpoint:
        options = ["--base-url", endpoint.url, "--strategy", "pipeline"]
        result = resolve(repository, environment, ISSUE, *options)
    assert result.returncode == 1, result.stderr + result.stdout
    assert "unverified: candidate 1" in result.stdout


def test_an_issue_is_read_from_a_pipe_with_a_name(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    pipe = tmp_path / "issue"
    os.mkfifo(pipe)
    with subprocess.Popen(["bash", "-c", f"echo '{ISSUE}' > {pipe}"]), serving([FIX] * 4) as endpoint:
        result = resolve(repository, environment, str(pipe), "--base-url", endpoint.url, "--json", *TESTS)
    assert json.loads(result.stdout.splitlines()[0])["issue"] == f"{ISSUE}\n"


@pytest.mark.parametrize(
    ("arguments", "text", "word"),
    [
        (["-"], "  \n", "the issue is empty"),
        (["missing.md"], None, "missing.md: no such file"),
        (["x", "--candidates", "0"], None, "greater than or equal to 1"),
        (["x", "--resume", "last"], None, "no resolution was recorded"),
        (["x", "--repo", "/"], None, "not a git repository"),
        (["x", "--patch", "/nowhere/at/all.patch"], None, "no such directory"),
    ],
)
def test_bad_input_is_a_clear_word_and_leaves_the_tree(
    repository: Path, environment: dict[str, str], arguments: list[str], text: str | None, word: str
) -> None:
    result = resolve(repository, environment, *arguments, "--base-url", "http://127.0.0.1:9/v1", text=text)
    assert result.returncode == 2
    assert word in result.stderr
    assert git(repository, "status", "--porcelain") == ""


def test_rubbish_from_the_model_ends_without_a_patch(repository: Path, environment: dict[str, str]) -> None:
    (repository / "adder.py").write_text("def add(a, b):\n    return sum([])\n")
    git(repository, "commit", "--quiet", "--all", "--message=harder")
    rubbish = [["?"] * 4] * 200
    with serving(*rubbish) as endpoint:
        result = resolve(repository, environment, ISSUE, "--base-url", endpoint.url, *TESTS, "--time-limit", "20")
    assert result.returncode == 4, result.stderr + result.stdout
    assert "no patch" in result.stdout
    assert git(repository, "status", "--porcelain") == ""


def test_killed_in_the_middle_it_goes_on_from_the_last_stage(repository: Path, environment: dict[str, str]) -> None:
    with serving() as endpoint:  # never answers
        command = [*PATCHWRIGHT, ISSUE, "--base-url", endpoint.url, *TESTS, "--json"]
        process = subprocess.Popen(command, cwd=repository, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        seen = [EVENT.validate_json(process.stdout.readline()) for _ in range(4)]
        process.kill()
        process.wait()
        process.stdout.close()
    assert [event.kind for event in seen] == ["issue_read", "baseline_run", "localised", "reproduced"]
    assert git(repository, "status", "--porcelain") == ""
    with serving([FIX] * 4) as endpoint:
        options = ["--resume", "last", "--base-url", endpoint.url, "--strategy", "pipeline", "--json"]
        result = resolve(repository, environment, *options)
    assert result.returncode == 0, result.stderr
    kinds = {json.loads(line)["kind"] for line in result.stdout.splitlines()}
    assert kinds.isdisjoint({BaselineRun.model_fields["kind"].default, Localised.model_fields["kind"].default})
    assert (repository / "adder.py").read_text() == FIXED


def test_ctrl_c_ends_it_in_order_and_leaves_the_tree(repository: Path, environment: dict[str, str]) -> None:
    with serving() as endpoint:
        command = [*PATCHWRIGHT, ISSUE, "--base-url", endpoint.url, *TESTS]
        process = subprocess.Popen(command, cwd=repository, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        while "reproduction" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=30) == 130
        process.stdout.close()
    assert "no patch (interrupted)" in rest
    assert git(repository, "status", "--porcelain") == ""


def test_ctrl_c_applies_nothing_though_a_candidate_stands(repository: Path, environment: dict[str, str]) -> None:
    with serving(EDIT, FINISH) as endpoint:  # a rollout, and no answer to the next one
        (repository / "check_adder.py").unlink()
        git(repository, "commit", "--quiet", "--all", "--message=no tests")
        tests = "sleep 2; test -e never && true || ! grep -q 'a + b' adder.py"
        command = [*PATCHWRIGHT, ISSUE, "--base-url", endpoint.url, "--test-command", f"{tests} && sleep 600"]
        process = subprocess.Popen(
            [*command, "--strategy", "agent", "--time-limit", "60"],
            cwd=repository,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(6)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "the files are not those that session"),
        (["another issue"], "is about another issue"),
        (["--test-command", "true"], "goes by the tests `python3 check_adder.py`, not by others"),
    ],
)
def test_what_was_found_for_something_else_is_not_gone_on_with(
    repository: Path, environment: dict[str, str], tmp_path: Path, arguments: list[str], word: str
) -> None:
    with serving([FIX] * 4) as endpoint:
        options = ["--base-url", endpoint.url, "--patch", str(tmp_path / "fix.patch"), *TESTS]
        assert resolve(repository, environment, ISSUE, *options).returncode == 0
    if not arguments:
        (repository / "adder.py").write_text("def add(a, b):\n    return b - a\n")
        git(repository, "commit", "--quiet", "--all", "--message=other")
    result = resolve(repository, environment, *arguments, "--resume", "last", "--base-url", "http://127.0.0.1:9/v1")
    assert (result.returncode, word in result.stderr) == (2, True), result.stderr


def test_the_last_resolution_is_gone_on_with_though_the_agent_ran_since(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    with serving([FIX] * 4) as endpoint:
        options = ["--base-url", endpoint.url, "--patch", str(tmp_path / "fix.patch")]
        assert resolve(repository, environment, ISSUE, *options, *TESTS).returncode == 0
        with closing(
            SessionStore(Path(environment["PATCHWRIGHT_STATE_DIR"]) / "sessions" / "sessions.sqlite")
        ) as store:
            store.create(work_tree=repository, task="rename add", profile="default", model="m")
        result = resolve(repository, environment, "--resume", "last", *options)
    assert result.returncode == 0, result.stderr


def test_resumed_on_a_terminal_it_knows_what_was_found_before(repository: Path, environment: dict[str, str]) -> None:
    with serving([WRONG] * 4) as endpoint:  # one batch, then silence
        command = [*PATCHWRIGHT, ISSUE, "--base-url", endpoint.url, *TESTS]
        process = subprocess.Popen(command, cwd=repository, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        while "wrong" not in process.stdout.readline():
            pass
        process.kill()
        process.wait()
        process.stdout.close()
    with serving([FIX] * 4) as endpoint:
        result = resolve(repository, environment, "--resume", "last", "--base-url", endpoint.url, *TESTS[2:])
    assert result.returncode == 0, result.stderr + result.stdout
    assert "reproduction: failed before, passes after: the failing tests" in result.stdout


def test_on_a_terminal_the_verdict_stands_out(repository: Path, environment: dict[str, str]) -> None:
    with serving([FIX] * 4) as endpoint:
        command = [*PATCHWRIGHT, ISSUE, "--base-url", endpoint.url, *TESTS]
        process, shown = _on_terminal(command, repository, environment)
    assert process.wait(timeout=60) == 0
    assert "\x1b[1;32mverified: candidate 1" in shown


def _on_terminal(
    command: list[str], repository: Path, environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], str]:
    main, terminal = pty.openpty()
    own = environment | {"TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(command, cwd=repository, env=own, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            shown += os.read(main, 65536)
        except OSError:  # the terminal's other end is closed
            break
    os.close(main)
    return process, shown.decode()
