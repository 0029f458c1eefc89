"""`patchwright run` as a user runs it: a process of its own, a real sandbox and repository, a scripted endpoint."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from patchwright.schema.events import EVENT, ToolStarted
from tests.conftest import BUG, FIXED, TEST_COMMAND, git

from .endpoint import Call, serving

PATCHWRIGHT = [sys.executable, "-m", "patchwright.cli.main"]
EDIT: Call = (
    "str_replace_editor",
    {"command": "str_replace", "path": "adder.py", "old_str": "a - b", "new_str": "a + b"},
)
FINISH: Call = ("finish", {"message": "add adds now"})


def bash(command: str) -> Call:
    return ("execute_bash", {"command": command})


def patchwright(
    repository: Path, environment: dict[str, str], *arguments: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [*PATCHWRIGHT, *arguments]
    return subprocess.run(
        command, cwd=repository, env=environment, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def latest_session(repository: Path, environment: dict[str, str]) -> str:
    return patchwright(repository, environment, "session", "list").stdout.split()[0]


def test_a_task_is_worked_on_and_the_patch_printed_with_its_evidence(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    patch = tmp_path / "fix.patch"
    with serving(EDIT, FINISH) as endpoint:
        options = ["--base-url", endpoint.url, "--test-command", TEST_COMMAND, "--patch", str(patch)]
        result = patchwright(repository, environment, "run", "Make add add.", *options)
    assert result.returncode == 0, result.stderr
    assert "done: add adds now" in result.stdout
    assert f"tests: failed (1) before, passed after: {TEST_COMMAND}" in result.stdout
    assert "95% of the later prompts from the prefix cache" not in result.stdout
    assert "48% of the later prompts from the prefix cache" in result.stdout
    assert result.stdout.endswith(patch.read_text())
    git(repository, "checkout", "--quiet", ".")
    git(repository, "apply", str(patch))
    assert (repository / "adder.py").read_text() == FIXED


def test_json_prints_nothing_but_events(repository: Path, environment: dict[str, str]) -> None:
    with serving(EDIT, FINISH) as endpoint:
        result = patchwright(repository, environment, "run", "-", "--base-url", endpoint.url, "--json", text="Go.\n")
    kinds = [EVENT.validate_json(line).kind for line in result.stdout.splitlines()]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")


def test_search_works_where_the_sandbox_hides_our_own_environment(
    repository: Path, environment: dict[str, str]
) -> None:
    """As it does with a checkout in the home directory."""
    hidden = {"PATCHWRIGHT_SANDBOX__HIDDEN": json.dumps([sys.prefix])}
    with serving(("search", {"pattern": "a - b"}), FINISH) as endpoint:
        patchwright(repository, environment | hidden, "run", "x", "--base-url", endpoint.url)
    assert "return a - b" in endpoint.requests[1]["messages"][-1]["content"]


def test_a_run_can_be_undone_and_exported(repository: Path, environment: dict[str, str], tmp_path: Path) -> None:
    with serving(EDIT, bash("echo x > new.txt"), FINISH) as endpoint:
        patchwright(repository, environment, "run", "Go.", "--base-url", endpoint.url)
    assert (repository / "new.txt").exists()
    session = latest_session(repository, environment)
    trajectory = tmp_path / "run.jsonl"
    assert patchwright(repository, environment, "session", "export", session, str(trajectory)).returncode == 0
    assert json.loads(trajectory.read_text().splitlines()[0])["format"] == "patchwright.trajectory"
    undone = patchwright(repository, environment, "undo", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert (repository / "adder.py").read_text() == BUG
    assert not (repository / "new.txt").exists()


def test_a_terminal_gets_the_live_view(repository: Path, environment: dict[str, str]) -> None:
    with serving(EDIT, FINISH) as endpoint:
        ours, theirs = pty.openpty()
        command = [*PATCHWRIGHT, "run", "Make add add.", "--base-url", endpoint.url]
        terminal = environment | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        process = subprocess.Popen(command, cwd=repository, env=terminal, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        screen = read_all(ours)
        assert process.wait(timeout=30) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    assert "\x1b[" in screen
    assert plain.count("I look into it.") >= 2, "what the model says stays, however soon it is over"
    assert "+    return a + b" in plain
    assert "done: add adds now" in plain


def read_all(descriptor: int) -> str:
    """Everything until the other side closes, which Linux reports as an error."""
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(descriptor, 65_536)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(descriptor)
    return b"".join(pieces).decode()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["run", ""], 2, "the task is empty"),
        (["run", "x", "--repo", "/"], 2, "not a git repository"),
        (["run", "x", "--max-steps", "0"], 2, "--max-steps"),
        (["run", "x", "--profile", "huge", "--base-url", "http://127.0.0.1:9/v1"], 2, "there is no profile 'huge'"),
        (["run", "x", "--model", "gpt-9"], 3, "no model is called 'gpt-9'"),
        (["run", "x", "--base-url", "http://127.0.0.1:9/v1"], 3, "127.0.0.1:9"),
        (["run", "--resume", "nope", "--base-url", "http://127.0.0.1:9/v1"], 2, "no session nope"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_the_right_code(
    repository: Path, environment: dict[str, str], arguments: list[str], code: int, complaint: str
) -> None:
    result = patchwright(repository, environment, *arguments)
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
    assert result.returncode == code


def test_a_limit_is_exit_code_4(repository: Path, environment: dict[str, str]) -> None:
    with serving(bash("true"), bash("false")) as endpoint:
        result = patchwright(repository, environment, "run", "x", "--base-url", endpoint.url, "--max-steps", "2")
    assert "step limit" in result.stdout
    assert result.returncode == 4


def started_run(repository: Path, environment: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    command = [*PATCHWRIGHT, "run", *arguments, "--json"]
    return subprocess.Popen(
        command, cwd=repository, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines_until(process: "subprocess.Popen[str]", wanted: Callable[[str], bool]) -> list[str]:
    assert process.stdout
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if wanted(line):
            break
    return lines


def test_ctrl_c_ends_a_run_in_order_with_the_patch_so_far(repository: Path, environment: dict[str, str]) -> None:
    with serving(EDIT, bash("sleep 60")) as endpoint:
        process = started_run(repository, environment, "x", "--base-url", endpoint.url)
        lines_until(process, lambda line: '"sleep 60' in line and '"tool_started"' in line)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    finished = json.loads(rest.splitlines()[-1])
    assert (finished["kind"], finished["reason"]) == ("run_finished", "interrupted")
    assert "+    return a + b" in finished["patch"]
    assert process.returncode == 130


def test_sigkill_loses_nothing_that_was_shown_and_the_call_is_not_run_again(
    repository: Path, environment: dict[str, str]
) -> None:
    with serving(bash("echo once >> log; sleep 60")) as endpoint:
        process = started_run(repository, environment, "x", "--base-url", endpoint.url)
        shown = lines_until(process, lambda line: '"tool_started"' in line)
        wait_for((repository / "log").exists)
        process.kill()
        process.communicate()
    exported = repository.parent / "run.jsonl"
    session = latest_session(repository, environment)
    patchwright(repository, environment, "session", "export", session, str(exported))
    assert exported.read_text().splitlines()[1:] == [line.rstrip("\n") for line in shown]
    assert isinstance(EVENT.validate_json(shown[-1]), ToolStarted)
    with serving(FINISH) as endpoint:
        result = patchwright(repository, environment, "run", "--resume", "last", "--base-url", endpoint.url)
    assert result.returncode == 0, result.stderr
    assert endpoint.requests[0]["messages"][-1]["content"] == "interrupted, outcome unknown"
    assert (repository / "log").read_text() == "once\n"


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


MEASURE = """
import sys
from patchwright.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # getrusage counts the parent's
print(peak.split()[1], file=sys.stderr)
"""


def test_a_command_that_prints_a_gigabyte_leaves_the_agent_under_150_mb(
    repository: Path, environment: dict[str, str]
) -> None:
    with serving(bash("head -c 1000000000 /dev/zero | tr '\\0' x"), FINISH) as endpoint:
        command = [sys.executable, "-c", MEASURE, "run", "x", "--base-url", endpoint.url]
        result = subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert "done" in result.stdout
    assert int(result.stderr.splitlines()[-1]) < 150_000  # kB


def test_help_needs_no_heavy_import() -> None:
    """Instant help is a matter of what is imported; the time itself depends on the machine."""
    script = "import sys; from patchwright.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    script += "print([name for name in ('pydantic', 'typer', 'rich', 'httpx', 'asyncio') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_doctor_says_what_is_missing(environment: dict[str, str], repository: Path) -> None:
    result = patchwright(repository, environment | {"PATCHWRIGHT_MODEL": "devstral"}, "doctor")
    assert "ok      sandbox  bubblewrap runs commands" in result.stdout
    assert "MISSING models   the model devstral is not on this machine" in result.stdout
    assert result.returncode == 3
