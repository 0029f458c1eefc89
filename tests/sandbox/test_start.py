"""Starting a sandbox: as root and as anybody, and what is said when it cannot be."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import patchwright
from patchwright.errors import SandboxError, ToolError
from patchwright.sandbox.bubblewrap import bubblewrap_launch
from patchwright.sandbox.client import SupervisedSandbox
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import eventually

_NOBODY = 65534
_OPEN = """
import asyncio, pathlib, sys
from patchwright.errors import SandboxError
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings

async def main():
    try:
        async with open_sandbox(sys.argv[1], pathlib.Path(sys.argv[2]), SandboxSettings()) as sandbox:
            print((await sandbox.run(sys.argv[3], timeout_s=30)).output, end="")
    except SandboxError as error:
        print(error, "hint:", error.hint)

asyncio.run(main())
"""


async def test_a_bubblewrap_that_cannot_start_says_why_and_names_the_way_out(
    work_tree: Path, settings: SandboxSettings, tmp_path: Path
) -> None:
    refusing = _executable(tmp_path / "bwrap", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    with pytest.raises(SandboxError) as refused:
        async with open_sandbox("bubblewrap", work_tree, settings.model_copy(update={"bwrap": refusing})):
            pass
    assert str(refused.value) == (
        f"the bubblewrap sandbox cannot start: {refusing}: bwrap: No permissions to create new namespace"
    )
    assert refused.value.hint is not None
    assert "--sandbox none" in refused.value.hint
    assert "--sandbox docker" in refused.value.hint


async def test_a_bubblewrap_that_is_not_there_says_so(work_tree: Path, settings: SandboxSettings) -> None:
    with pytest.raises(SandboxError, match="cannot run /nowhere/bwrap: no such file"):
        async with open_sandbox("bubblewrap", work_tree, settings.model_copy(update={"bwrap": Path("/nowhere/bwrap")})):
            pass


async def test_a_bubblewrap_that_fails_gives_way_to_the_next(
    work_tree: Path, settings: SandboxSettings, tmp_path: Path
) -> None:
    """As where the system's is too old for an option."""
    old = _executable(tmp_path / "bwrap", "echo 'bwrap: Unknown option --disable-userns' >&2; exit 1")
    launch = bubblewrap_launch(work_tree, settings)
    commands = ((str(old), *launch.commands[0][1:]), *launch.commands)
    async with SupervisedSandbox(replace(launch, commands=commands), settings, home="/tmp") as sandbox:
        assert (await sandbox.run("echo on", timeout_s=30)).output == "on\n"


async def test_where_namespaces_are_forbidden_nothing_runs(work_tree: Path, settings: SandboxSettings) -> None:
    """For real: inside a bubblewrap that forbids further user namespaces."""
    (bwrap, *_) = bubblewrap_launch(work_tree, settings).commands[-1]
    outer = [bwrap, "--unshare-user", "--disable-userns", "--dev-bind", "/", "/", "--"]
    inner = [sys.executable, "-c", _OPEN, "bubblewrap", str(work_tree), "touch ran"]
    told = subprocess.run([*outer, *inner], capture_output=True, text=True, check=True).stdout
    assert told.startswith("the bubblewrap sandbox cannot start: ")
    assert "bwrap: " in told
    assert "--sandbox none" in told
    assert not (work_tree / "ran").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_has_the_same_sandbox(nobodys_directory: Path) -> None:
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    paths = [str(Path(patchwright.__file__).parents[1]), *(path for path in sys.path if path.endswith("-packages"))]
    if python is None or _as_nobody([python, "-c", "import pydantic"], paths).returncode:
        pytest.skip("no Python that other users may run and that fits our packages")
    command = "id -u; touch new && ls; cat /etc/shadow; grep CapEff /proc/self/status | cut -f2; ls -A /home /run"
    done = _as_nobody([python, "-c", _OPEN, "bubblewrap", str(nobodys_directory), command], paths)
    seen = "cat: /etc/shadow: Permission denied\n0000000000000000\n/home:\n\n/run:\n"
    assert done.stdout == f"{_NOBODY}\nnew\n{seen}", done.stderr


async def test_a_work_tree_that_cannot_be_written_to_is_refused(settings: SandboxSettings, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    if os.getuid() == 0:
        os.chown(project, _NOBODY, _NOBODY)
    else:
        project.chmod(0o555)
    with pytest.raises(SandboxError, match="cannot be written to from inside the bubblewrap sandbox") as refused:
        async with open_sandbox("bubblewrap", project, settings):
            pass
    assert refused.value.hint == "run as the user that the directory belongs to"


def test_a_work_tree_that_is_not_there_is_refused(tmp_path: Path, settings: SandboxSettings) -> None:
    with pytest.raises(SandboxError, match="is not a directory"):
        open_sandbox("none", tmp_path / "missing", settings)


async def test_a_start_that_is_cancelled_leaves_no_process(
    work_tree: Path, settings: SandboxSettings, tmp_path: Path
) -> None:
    slow = _executable(tmp_path / "bwrap", f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    sandbox = open_sandbox("bubblewrap", work_tree, settings.model_copy(update={"bwrap": slow}))
    opening = asyncio.create_task(sandbox.__aenter__())
    await eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


async def test_bash_that_is_missing_is_named(work_tree: Path, settings: SandboxSettings, tmp_path: Path) -> None:
    hidden = settings.model_copy(update={"hidden": tuple(Path(place, "bash") for place in ("/bin", "/usr/bin"))})
    async with open_sandbox("bubblewrap", work_tree, hidden) as sandbox:
        with pytest.raises(ToolError, match=r"cannot start /.*/bash: permission denied"):
            await sandbox.run("true", timeout_s=30)


@pytest.fixture
def nobodys_directory() -> Iterator[Path]:
    """Not below pytest's own, which others may not enter."""
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, _NOBODY, _NOBODY)
        yield Path(directory)


def _as_nobody(command: Sequence[str], paths: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(paths)}
    return subprocess.run(
        command,
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def _executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
