"""Commands that go on too long, print too much, take too much, or leave something behind."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from patchwright.errors import SandboxError
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import eventually, output_of


@pytest.fixture
def settings(settings: SandboxSettings) -> SandboxSettings:
    return settings.model_copy(update={"interrupt_grace_s": 0.5})


async def test_a_command_out_of_time_is_interrupted_and_may_say_goodbye(sandbox: Sandbox) -> None:
    await output_of(sandbox, "kept=1")
    result = await sandbox.run("trap 'echo interrupted; exit 5' INT; echo on; sleep 100", timeout_s=0.5)
    assert (result.output, result.exit_code, result.timed_out) == ("on\ninterrupted\n", 5, True)
    assert await output_of(sandbox, "echo $kept") == "1\n"


async def test_a_command_that_ignores_the_interrupt_is_killed(sandbox: Sandbox) -> None:
    await output_of(sandbox, "kept=1")
    result = await sandbox.run("trap '' INT TERM; echo on; while :; do sleep 1; done", timeout_s=0.5)
    assert (result.output, result.exit_code, result.timed_out) == ("on\n", 137, True)
    assert result.duration_s < 3
    assert await output_of(sandbox, "echo $kept") == "1\n"


async def test_nothing_of_a_command_out_of_time_goes_on(sandbox: Sandbox) -> None:
    """`timeout` and `set -m` change the process group, `setsid` even the session; `&` makes bash ignore SIGINT."""
    result = await sandbox.run(
        "sleep 4001 & timeout 4002 sleep 4002 & setsid sleep 4003 & set -m; sleep 4004 & wait; sleep 4005",
        timeout_s=0.5,
    )
    assert result.timed_out
    await eventually(lambda: not _running("sleep", "4001", "4002", "4003", "4004", "4005"))


async def test_commands_come_after_the_engine_that_shares_the_processors(sandbox: Sandbox) -> None:
    session = "; cat /proc/$$/autogroup" if Path("/proc/self/autogroup").exists() else ""
    words = (await output_of(sandbox, f"sleep 0.3; nice{session}")).split()
    assert words[0] == words[-1] == "10"


async def test_cancelling_kills_the_command_and_leaves_the_sandbox_usable(sandbox: Sandbox, work_tree: Path) -> None:
    await output_of(sandbox, "kept=1")
    command = "trap '' INT; touch started; sleep 4010; touch ended"
    running = asyncio.create_task(sandbox.run(command, timeout_s=100))
    await eventually((work_tree / "started").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not _running("sleep", "4010")
    assert await output_of(sandbox, "echo $kept; ls") == "1\nhello.txt\nstarted\n"


async def test_a_call_cancelled_while_it_waits_its_turn_is_not_run(sandbox: Sandbox) -> None:
    first = asyncio.create_task(sandbox.run("read -t 0.5 < <(sleep 10); echo done", timeout_s=30))
    second = asyncio.create_task(sandbox.run("touch ran", timeout_s=30))
    await asyncio.sleep(0)
    second.cancel()
    assert (await first).output == "done\n"
    assert await sandbox.info("ran") is None


async def test_a_daemon_that_holds_stdout_does_not_hold_the_command(sandbox: Sandbox) -> None:
    result = await sandbox.run("(sleep 2; echo late > woke; sleep 4020) & echo started", timeout_s=30)
    assert (result.output, result.exit_code) == ("started\n", 0)
    assert result.duration_s < 1.9
    await output_of(sandbox, "until [ -e woke ]; do sleep 0.05; done")
    await eventually(lambda: bool(_running("sleep", "4020")))


async def test_a_job_may_go_on_printing_when_nobody_listens(sandbox: Sandbox) -> None:
    await output_of(sandbox, "(for i in {1..200}; do echo $i-{1..2000}; done; touch printed) &")
    await output_of(sandbox, "until [ -e printed ]; do sleep 0.05; done")


async def test_a_server_of_one_command_answers_the_next(bubblewrap: Sandbox) -> None:
    await output_of(bubblewrap, "python3 -m http.server --bind 127.0.0.1 8123 &")
    get = "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8123/hello.txt').read())\""
    assert await output_of(bubblewrap, f"until {get} 2>/dev/null; do sleep 0.1; done") == "b'hello\\n'\n"


async def test_what_a_process_substitution_prints_is_not_lost(sandbox: Sandbox) -> None:
    assert await output_of(sandbox, "echo text > >(sleep 0.01; cat)") == "text\n"


async def test_long_output_keeps_its_head_and_its_tail(sandbox: Sandbox) -> None:
    result = await sandbox.run("seq 100000", timeout_s=30, output_limit_bytes=20)
    assert result.output == "1\n2\n3\n4\n5\n" + "99\n100000\n"
    assert result.omitted_bytes == 588_895 - 20


async def test_the_cut_does_not_leave_half_a_character(sandbox: Sandbox) -> None:
    result = await sandbox.run("printf 'é%.0s' {1..100}", timeout_s=30, output_limit_bytes=10)
    assert (result.output, result.omitted_bytes) == ("éééé", 190)


_FLOOD = """
import asyncio, pathlib, resource, sys
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings

async def main():
    async with open_sandbox("bubblewrap", pathlib.Path(sys.argv[1]), SandboxSettings()) as sandbox:
        await sandbox.run("true", timeout_s=30)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = await sandbox.run("head -c 1000000000 /dev/zero", timeout_s=60)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        inside = await sandbox.run("grep VmHWM /proc/1/status | tr -dc 0-9", timeout_s=30)
        print(result.omitted_bytes, after - before, inside.output)

asyncio.run(main())
"""


async def test_a_gigabyte_of_output_takes_next_to_no_memory(work_tree: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FLOOD, str(work_tree)], capture_output=True, text=True, check=True)
    omitted, added_kib, supervisor_kib = map(int, done.stdout.split())
    assert omitted == 1_000_000_000 - 65_536
    assert added_kib < 4_096
    assert supervisor_kib < 40_000


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
async def test_a_fork_bomb_is_survived(kind: str, work_tree: Path, settings: SandboxSettings) -> None:
    limited = settings.model_copy(update={"processes": 60})
    async with open_sandbox(kind, work_tree, limited) as sandbox:
        await output_of(sandbox, "kept=1")
        # In the bare machine's process table, one that doubles without end could get ahead of us.
        bomb = (
            "bomb() { bomb | bomb & }; bomb; sleep 4030"
            if kind == "bubblewrap"
            else "for i in {1..99}; do sleep 4030 & done; wait"
        )
        result = await sandbox.run(bomb, timeout_s=60)
        assert "[sandbox: killed: more than the 60 processes allowed]" in result.output
        assert result.exit_code == 137
        assert await output_of(sandbox, "echo $kept; ps -e | grep -c 4030 || true") == "1\n0\n"


_TAKE = "python3 -c 'import time; kept = bytearray(60_000_000); time.sleep(60)'"


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
async def test_memory_is_limited_for_all_processes_together(
    kind: str, work_tree: Path, settings: SandboxSettings
) -> None:
    limited = settings.model_copy(update={"memory_bytes": 150 << 20})
    async with open_sandbox(kind, work_tree, limited) as sandbox:
        await output_of(sandbox, "kept=1; sleep 4031 &")
        result = await sandbox.run(f"{_TAKE} & {_TAKE} & {_TAKE} & wait", timeout_s=50)
        assert "[sandbox: killed: more than the 150 MiB of memory allowed]" in result.output
        assert result.exit_code == 137
        assert "4031" in await output_of(sandbox, "echo $kept; pgrep -fa 'sleep 4031'")


async def test_one_process_is_refused_more_memory_than_allowed(work_tree: Path, settings: SandboxSettings) -> None:
    limited = settings.model_copy(update={"memory_bytes": 150 << 20})
    async with open_sandbox("bubblewrap", work_tree, limited) as sandbox:
        result = await sandbox.run("python3 -c 'bytearray(10**12)'", timeout_s=30)
        assert "MemoryError" in result.output


async def test_background_jobs_beyond_a_limit_are_reported_with_a_later_command(
    work_tree: Path, settings: SandboxSettings
) -> None:
    limited = settings.model_copy(update={"processes": 20})
    async with open_sandbox("bubblewrap", work_tree, limited) as sandbox:
        await output_of(sandbox, "(sleep 0.5; for i in {1..40}; do sleep 4032 & done; wait) & kept=1")
        deadline = time.monotonic() + 20
        output = ""
        while "more than the 20 processes allowed" not in output:
            assert time.monotonic() < deadline
            output = (await sandbox.run("true", timeout_s=30)).output  # which may be hit itself
        assert await output_of(sandbox, "echo $kept") == "1\n"
        await eventually(lambda: not _running("sleep", "4032"))  # killed processes take a moment to be gone


async def test_no_command_can_kill_the_supervisor(bubblewrap: Sandbox) -> None:
    await output_of(bubblewrap, "kept=1")
    await bubblewrap.run("kill -9 1; pkill -9 -f python; kill -STOP 1; kill -INT 1; kill -9 -1", timeout_s=30)
    assert await output_of(bubblewrap, "echo $kept") == "1\n"


async def test_no_command_can_reach_into_the_supervisor(bubblewrap: Sandbox) -> None:
    result = await bubblewrap.run("cat /proc/1/environ; head -c 1 /proc/1/mem; echo x > /proc/1/fd/3", timeout_s=30)
    assert result.output.count("Permission denied") == 3


async def test_a_dead_sandbox_says_so_at_once(sandbox: Sandbox) -> None:
    (launcher,) = (child for child in psutil.Process().children() if "-I" in child.cmdline())
    started = time.monotonic()
    running = asyncio.create_task(sandbox.run("sleep 4040", timeout_s=100))
    await eventually(lambda: _running("sleep", "4040"))
    launcher.kill()
    with pytest.raises(SandboxError, match="the sandbox has died"):
        await running
    with pytest.raises(SandboxError, match="the sandbox has died"):
        await sandbox.run("true", timeout_s=30)
    assert time.monotonic() - started < 10


_HOST = """
import asyncio, pathlib, sys
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings

async def main():
    async with open_sandbox(sys.argv[1], pathlib.Path(sys.argv[2]), SandboxSettings()) as sandbox:
        await sandbox.run("sleep 4050 & setsid sleep 4050 &", timeout_s=30)
        print("ready", flush=True)
        await sandbox.run("sleep 4050", timeout_s=100)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
async def test_nothing_outlives_a_host_that_is_killed(kind: str, work_tree: Path) -> None:
    host = subprocess.Popen([sys.executable, "-c", _HOST, kind, str(work_tree)], stdout=subprocess.PIPE)
    with host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"ready\n"
        await eventually(lambda: len(_running("sleep", "4050")) == 3)
        host.kill()
    await eventually(lambda: not _running("sleep", "4050"))


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
async def test_nothing_is_left_when_a_sandbox_is_closed(kind: str, work_tree: Path, settings: SandboxSettings) -> None:
    descriptors, children = psutil.Process().num_fds(), psutil.Process().children()
    async with open_sandbox(kind, work_tree, settings) as sandbox:
        await output_of(sandbox, "sleep 4060 & setsid bash -c 'trap \"\" TERM; sleep 4060 & sleep 4060' &")
        await eventually(lambda: len(_running("sleep", "4060")) == 3)
    await eventually(lambda: not _running("sleep", "4060"))
    assert psutil.Process().num_fds() == descriptors
    assert psutil.Process().children() == children
    with pytest.raises(SandboxError, match="closed"):
        await sandbox.run("true", timeout_s=30)


def _running(program: str, *arguments: str) -> list[int]:
    """Processes of the machine, whatever namespace they are in."""
    lines = [(process.pid, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [pid for pid, line in lines if line[:1] == [program] and line[1:2] and line[1] in arguments]
