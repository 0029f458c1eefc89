"""The Docker launch: its command line, its protocol through a stand-in client, its errors."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from patchwright.errors import SandboxError
from patchwright.sandbox.docker import docker_launch
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import eventually, git, output_of

# Notes its arguments, and runs on this machine what was to run in the container.
_STAND_IN = """#!/bin/bash
printf '%s\\n' "$@" >> "$0.log"
[ "$1" = run ] || exit
until [ "$1" = python3 ]; do shift; done
exec "$@"
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    path = tmp_path / "docker"
    path.write_text(_STAND_IN)
    path.chmod(0o755)
    return path


def test_the_container_has_no_network_no_capabilities_and_limits(work_tree: Path, stand_in: Path) -> None:
    settings = SandboxSettings(
        docker=str(stand_in), docker_image="image:1", docker_user="7:8", memory_bytes=1 << 30, processes=99
    )
    (command,) = docker_launch(work_tree, settings).commands
    options = " ".join(command[: command.index("image:1")])
    for expected in (
        "run --interactive --rm",
        "--network none",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--pids-limit 99",
        f"--memory {1 << 30} --memory-swap {1 << 30}",
        "--user 7:8",
        f"--mount type=bind,source={work_tree},target={work_tree} ",
        f"--mount type=bind,source={work_tree}/.git,target={work_tree}/.git,readonly",
        f"--workdir {work_tree}",
    ):
        assert expected in options
    assert command[command.index("image:1") + 1 :][:4] == ("python3", "-I", "-S", "-c")


def test_a_git_directory_elsewhere_is_mounted_read_only(work_tree: Path, tmp_path: Path, stand_in: Path) -> None:
    linked = tmp_path / "a,b"
    git("-C", str(work_tree), "worktree", "add", "--quiet", "-b", "other", str(linked))
    (command,) = docker_launch(linked, SandboxSettings(docker=str(stand_in))).commands
    mounts = [value for option, value in pairwise(command) if option == "--mount"]
    common = work_tree / ".git"
    private = common / "worktrees" / "a,b"
    assert mounts == [
        f'type=bind,"source={linked}","target={linked}"',
        f'type=bind,"source={linked}/.git","target={linked}/.git",readonly',
        f"type=bind,source={common},target={common},readonly",
        f'type=bind,"source={private}","target={private}",readonly',
    ]


async def test_the_same_protocol_runs_through_the_client(work_tree: Path, stand_in: Path) -> None:
    async with open_sandbox("docker", work_tree, SandboxSettings(docker=str(stand_in), network=True)) as sandbox:
        assert sandbox.name == "docker"
        await output_of(sandbox, "cd /usr; kept=1")
        assert await output_of(sandbox, "echo $kept $PWD") == "1 /usr\n"
        await sandbox.write("new.txt", b"new")
        assert (work_tree / "new.txt").read_bytes() == await sandbox.read("new.txt") == b"new"
    assert "--network\nbridge\n" in Path(f"{stand_in}.log").read_text()


async def test_a_container_that_hangs_is_killed_by_name(work_tree: Path, stand_in: Path) -> None:
    sandbox = open_sandbox("docker", work_tree, SandboxSettings(docker=str(stand_in)))
    async with sandbox:
        await output_of(sandbox, "(sleep 0.3; touch stopped; kill -STOP $PPID) &")
        await eventually((work_tree / "stopped").exists)
    log = Path(f"{stand_in}.log").read_text().splitlines()
    assert log[-2:] == ["kill", log[log.index("--name") + 1]]


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker client")
async def test_an_engine_that_does_not_answer_is_reported(work_tree: Path, tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text(f'#!/bin/sh\nDOCKER_HOST=unix://{tmp_path}/none.sock exec {shutil.which("docker")} "$@"\n')
    client.chmod(0o755)
    with pytest.raises(SandboxError, match=r"cannot start: .*: docker: .*none\.sock") as refused:
        async with open_sandbox("docker", work_tree, SandboxSettings(docker=str(client))):
            pass
    assert refused.value.hint is not None
    assert "start Docker" in refused.value.hint


def test_a_client_that_is_missing_or_lies_in_the_work_tree_is_not_run(work_tree: Path, stand_in: Path) -> None:
    shutil.copy(stand_in, work_tree / "docker")
    for name, path in (("no-such-docker", "/usr/bin"), ("docker", f"{work_tree}:/nowhere")):
        with pytest.raises(SandboxError, match="no docker client"):
            open_sandbox("docker", work_tree, SandboxSettings(docker=name, path=path))
