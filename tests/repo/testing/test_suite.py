"""A test command in a real sandbox, with a real pytest in it."""

import os
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from patchwright.repo.testing.suite import Suite
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings

PYTHON = shlex.quote(sys.executable)
PYTEST = f"{PYTHON} -m pytest -q"
# Our own development plugins take longer to load than a test to run.
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\n")
    return root


@pytest.fixture
async def sandbox(project: Path) -> AsyncIterator[Sandbox]:
    settings = SandboxSettings(path=os.environ["PATH"], environment=QUICK)
    async with open_sandbox("bubblewrap", project, settings) as sandbox:
        yield sandbox


OUTCOMES = """\
import pytest

@pytest.fixture
def broken_setup():
    raise ValueError

@pytest.fixture
def broken_teardown():
    yield
    raise ValueError

def test_passes(): pass
def test_fails(): assert 1 == 2
def test_setup(broken_setup): pass
def test_teardown(broken_teardown): pass
def test_skips(): pytest.skip("no")
@pytest.mark.xfail
def test_xfails(): assert 0
@pytest.mark.xfail(strict=True)
def test_xpasses(): pass
@pytest.mark.parametrize("x", ["a b", "ü"])
def test_each(x): assert x == "ü"
class TestClass:
    def test_method(self): pass
"""


async def test_each_test_has_its_outcome(project: Path, sandbox: Sandbox) -> None:
    (project / "test_all.py").write_text(OUTCOMES)
    (project / "test_broken.py").write_text("import nowhere\n")
    run = await Suite(f"{PYTEST} --continue-on-collection-errors", sandbox).run(timeout_s=60)
    assert run.outcomes == {
        "test_broken.py": "error",
        "test_all.py::test_passes": "passed",
        "test_all.py::test_fails": "failed",
        "test_all.py::test_setup": "error",
        "test_all.py::test_teardown": "error",
        "test_all.py::test_skips": "skipped",
        "test_all.py::test_xfails": "skipped",
        "test_all.py::test_xpasses": "failed",
        "test_all.py::test_each[a b]": "failed",
        "test_all.py::test_each[\\xfc]": "passed",
        "test_all.py::TestClass::test_method": "passed",
    }
    assert (run.exit_code, run.timed_out, run.lines) == (1, False, {})
    assert "3 failed" in run.output


LOOPS = """\
import time, unittest, pytest

def test_loop():
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            pass

def test_bare_except():
    while True:
        try:
            for _ in range(1000): pass
        except:
            pass
        for _ in range(1000): pass

@pytest.fixture
def slow():
    time.sleep(60)

def test_setup(slow): pass

class TestUnit(unittest.TestCase):
    def test_sleeps(self):
        time.sleep(60)

def test_after(): pass
"""


async def test_a_test_that_never_ends_is_interrupted_and_the_next_one_runs(project: Path, sandbox: Sandbox) -> None:
    (project / "test_loops.py").write_text(LOOPS)
    run = await Suite(PYTEST, sandbox).run(timeout_s=60, test_timeout_s=0.5)
    assert run.outcomes == {
        "test_loops.py::test_loop": "timed_out",
        "test_loops.py::test_bare_except": "timed_out",
        "test_loops.py::test_setup": "timed_out",
        "test_loops.py::TestUnit::test_sleeps": "timed_out",
        "test_loops.py::test_after": "passed",
    }
    assert (run.exit_code, run.timed_out) == (1, False)
    # Where it was, and nothing of the plugin's.
    assert "time.sleep(0.01)\nE               Failed: patchwright: still running after 0.5 s" in run.output
    assert "patchwright_probe.py" not in run.output


async def test_the_slowest_test_that_passed_is_known(project: Path, sandbox: Sandbox) -> None:
    source = "import time\ndef test_slow(): time.sleep(0.3)\ndef test_fails():\n    time.sleep(1)\n    assert 0\n"
    (project / "test_it.py").write_text(source)
    run = await Suite(PYTEST, sandbox).run(timeout_s=60)
    assert run.slowest_s
    assert 0.3 <= run.slowest_s < 1
    assert (await Suite("true", sandbox).run(timeout_s=60)).slowest_s is None


OWN_TIMER = """\
import signal, time, pytest

def test_own_alarm():
    class Rang(Exception): pass
    def ring(*_): raise Rang
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(1)
    with pytest.raises(Rang):
        time.sleep(10)
    signal.signal(signal.SIGALRM, before)

@pytest.mark.timeout(0.3)
def test_own_limit(): time.sleep(60)

def test_nothing_is_left_behind():
    assert signal.getsignal(signal.SIGALRM) != signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 5
"""


async def test_a_test_may_use_the_timer_itself(project: Path, sandbox: Sandbox) -> None:
    (project / "test_timer.py").write_text(OWN_TIMER)
    run = await Suite(f"{PYTEST} -p pytest_timeout", sandbox).run(timeout_s=60, test_timeout_s=20)
    assert run.outcomes == {
        "test_timer.py::test_own_alarm": "passed",
        "test_timer.py::test_own_limit": "failed",
        "test_timer.py::test_nothing_is_left_behind": "passed",
    }


async def test_what_was_recorded_survives_a_kill(project: Path, sandbox: Sandbox) -> None:
    source = "import os, signal\ndef test_first(): pass\ndef test_second(): os.kill(os.getpid(), signal.SIGKILL)\n"
    (project / "test_killed.py").write_text(source)
    run = await Suite(PYTEST, sandbox).run(timeout_s=60)
    assert (run.exit_code, run.outcomes) == (137, {"test_killed.py::test_first": "passed"})


async def test_a_command_that_takes_too_long_is_stopped(sandbox: Sandbox) -> None:
    run = await Suite("echo begun; sleep 60", sandbox).run(timeout_s=0.5)
    assert run.timed_out
    assert run.output.startswith("begun\n")


PROGRAM = """\
import threading


def sign(x):
    if x < 0:
        return -1
    return 1


def numbers(n):
    for i in range(n):
        yield i


def elsewhere():
    thread = threading.Thread(target=sign, args=(1,))
    thread.start()
    thread.join()
"""

TRACED = """\
import json
import pytest
from program import elsewhere, numbers, sign

@pytest.fixture
def one():
    return sign(1)

def test_negative():
    assert sign(-1) == -1

def test_fixture(one):
    json.dumps(one)

def test_generator():
    assert list(numbers(2)) == [0, 1]

def test_thread():
    elsewhere()
"""


async def test_a_traced_run_has_the_lines_of_each_test(project: Path, sandbox: Sandbox) -> None:
    (project / "program.py").write_text(PROGRAM)
    (project / "test_program.py").write_text(TRACED)
    installed = project / "env"
    (installed / "lib").mkdir(parents=True)
    (installed / "pyvenv.cfg").write_text("")
    (installed / "lib" / "other.py").write_text("def other():\n    return 1\n")
    (project / "test_other.py").write_text("from env.lib.other import other\n\ndef test_other():\n    other()\n")
    run = await Suite(PYTEST, sandbox).run(timeout_s=60, trace=True)
    assert run.lines == {
        "test_other.py::test_other": {"test_other.py": (4,)},
        "test_program.py::test_negative": {"program.py": (5, 6), "test_program.py": (10,)},
        "test_program.py::test_fixture": {"program.py": (5, 7), "test_program.py": (7, 13)},
        "test_program.py::test_generator": {"program.py": (11, 12), "test_program.py": (16,)},
        "test_program.py::test_thread": {"program.py": (5, 7, 16, 17, 18), "test_program.py": (19,)},
    }
    assert set(run.outcomes.values()) == {"passed"}


async def test_another_command_has_its_exit_code_and_its_output(sandbox: Sandbox) -> None:
    run = await Suite("echo out; exit 3", sandbox).run(timeout_s=60, test_timeout_s=1, trace=True)
    assert (run.command, run.exit_code, run.outcomes, run.lines) == ("echo out; exit 3", 3, {}, {})
    assert run.output == "out\n"


async def test_the_output_keeps_its_head_and_its_tail(sandbox: Sandbox) -> None:
    run = await Suite("seq 1 100000", sandbox).run(timeout_s=60)
    assert len(run.output) <= 65_536
    assert run.output.startswith("1\n2\n")
    assert run.output.endswith("99999\n100000\n")


@pytest.mark.parametrize("command", [f"PYTHONPATH=src {PYTEST}", f'export PYTHONPATH="src"; {PYTEST}'])
async def test_a_command_may_set_its_own_python_path(project: Path, sandbox: Sandbox, command: str) -> None:
    (project / "src").mkdir()
    (project / "src" / "module.py").write_text("")
    (project / "test_module.py").write_text("import module\ndef test_it(): pass\n")
    run = await Suite(command, sandbox).run(timeout_s=60)
    assert (run.exit_code, run.outcomes) == (0, {"test_module.py::test_it": "passed"})
    assert run.command == command


@pytest.mark.parametrize("command", [f"env -u PYTHONPATH {PYTEST}", f"{PYTHON} -E -m pytest -q"])
async def test_where_the_plugin_cannot_be_found_it_runs_without(project: Path, sandbox: Sandbox, command: str) -> None:
    (project / "test_it.py").write_text("def test_it(): pass\n")
    run = await Suite(command, sandbox).run(timeout_s=60)
    assert (run.exit_code, run.outcomes) == (0, {})
    assert "1 passed" in run.output


async def test_the_sandbox_s_own_python_path_and_plugins_stay(project: Path) -> None:
    (project / "src").mkdir()
    (project / "src" / "module.py").write_text("")
    (project / "src" / "own_plugin.py").write_text("import pytest\n@pytest.fixture\ndef own():\n    return 1\n")
    (project / "test_module.py").write_text("import module\ndef test_it(own): assert own == 1\n")
    environment = {**QUICK, "PYTHONPATH": str(project / "src"), "PYTEST_PLUGINS": "own_plugin"}
    settings = SandboxSettings(path=os.environ["PATH"], environment=environment)
    async with open_sandbox("bubblewrap", project, settings) as sandbox:
        run = await Suite(PYTEST, sandbox).run(timeout_s=60)
    assert (run.exit_code, run.outcomes) == (0, {"test_module.py::test_it": "passed"})


async def test_pytest_may_run_twice(project: Path, sandbox: Sandbox) -> None:
    (project / "test_a.py").write_text("def test_it(): pass\n")
    (project / "test_b.py").write_text("def test_it(): assert 0\n")
    (project / "both.py").write_text("import pytest\npytest.main(['test_a.py'])\npytest.main(['test_b.py'])\n")
    expected = {"test_a.py::test_it": "passed", "test_b.py::test_it": "failed"}
    run = await Suite(f"{PYTEST} test_a.py && {PYTEST} test_b.py", sandbox).run(timeout_s=60)
    assert (run.exit_code, run.outcomes) == (1, expected)
    run = await Suite(f"{PYTHON} both.py", sandbox).run(timeout_s=60)
    assert run.outcomes == expected


NESTED = """\
import os, subprocess, sys
pytest_plugins = ["pytester"]

def test_in_process(pytester):
    pytester.makepyfile("def test_inner(): assert 0")
    pytester.runpytest_inprocess().assert_outcomes(failed=1)

def test_in_a_child(tmp_path):
    (tmp_path / "test_inner.py").write_text("def test_inner(): assert 0")
    environment = dict(os.environ, PYTHONPATH=str(tmp_path))
    child = subprocess.run([sys.executable, "-m", "pytest", str(tmp_path)], env=environment, stdout=subprocess.PIPE)
    assert child.returncode == 1, child.stdout
"""


async def test_what_a_test_starts_is_not_reported(project: Path, sandbox: Sandbox) -> None:
    (project / "test_nested.py").write_text(NESTED)
    run = await Suite(f"{PYTEST} -W error -p no:cacheprovider", sandbox).run(timeout_s=60, test_timeout_s=30)
    assert run.outcomes == {
        "test_nested.py::test_in_process": "passed",
        "test_nested.py::test_in_a_child": "passed",
    }
    assert run.exit_code == 0, run.output


HOSTILE = """\
import os

def test_before(): pass

def test_hostile():
    directory = os.environ["PATCHWRIGHT_PROBE_REPORTS"]
    place = lambda name: os.path.join(directory, name)
    with open(place("huge"), "wb") as file:
        file.truncate(10**11)
    os.mkfifo(place("fifo"))
    os.symlink("/dev/zero", place("link"))
    os.mkdir(place("directory"))
    lines = [b"nonsense", b'{"test": 1}', b'{"test": "a", "outcome": "wonderful"}', b"[" * 100000, b"\\xff\\xfe"]
    lines += [b'{"test": "b", "outcome": "passed", "lines": {"x.py": ["y"]}}', b"null", b""]
    with open(place("%d.jsonl" % os.getpid()), "ab") as file:
        file.write(b"\\n".join(lines) + b"\\n")

def test_after(): pass
"""


async def test_a_report_that_makes_no_sense_is_left_out(project: Path, sandbox: Sandbox) -> None:
    (project / "test_hostile.py").write_text(HOSTILE)
    run = await Suite(PYTEST, sandbox).run(timeout_s=60)
    assert run.exit_code == 0, run.output
    assert run.outcomes == {
        "test_hostile.py::test_before": "passed",
        "test_hostile.py::test_hostile": "passed",
        "test_hostile.py::test_after": "passed",
    }


async def test_nothing_stays_behind(project: Path, sandbox: Sandbox) -> None:
    (project / "test_it.py").write_text("def test_it(): pass\n")
    await Suite(f"{PYTEST} -p no:cacheprovider", sandbox).run(timeout_s=60, trace=True)
    listed = await sandbox.run("ls -d /tmp/patchwright-* 2>/dev/null; ls -A", timeout_s=10)
    assert listed.output == "pytest.ini\ntest_it.py\n"


async def test_where_two_tests_hang_the_others_have_a_tenth_of_the_time(project: Path, sandbox: Sandbox) -> None:
    hanging = "".join(f"def test_{number}():\n    while True: pass\n" for number in range(8))
    (project / "test_all.py").write_text(f"{hanging}def test_fine(): pass\n")
    run = await Suite(PYTEST, sandbox).run(timeout_s=60, test_timeout_s=5)
    assert list(run.outcomes.values()) == ["timed_out"] * 8 + ["passed"]
    assert run.duration_s < 30
