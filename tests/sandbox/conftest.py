"""A git repository to work in, sandboxes on it, and a way to wait for what is bound to happen."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    git("init", "--quiet", str(directory))
    (directory / "hello.txt").write_text("hello\n")
    git("-C", str(directory), "add", ".")
    git("-C", str(directory), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")
    return directory


@pytest.fixture
def settings() -> SandboxSettings:
    return SandboxSettings(path=os.environ["PATH"])


@pytest.fixture
async def bubblewrap(work_tree: Path, settings: SandboxSettings) -> AsyncIterator[Sandbox]:
    async with open_sandbox("bubblewrap", work_tree, settings) as sandbox:
        yield sandbox


@pytest.fixture(params=["bubblewrap", "none"])
async def sandbox(request: pytest.FixtureRequest, work_tree: Path, settings: SandboxSettings) -> AsyncIterator[Sandbox]:
    async with open_sandbox(request.param, work_tree, settings) as sandbox:
        yield sandbox


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


async def output_of(sandbox: Sandbox, command: str) -> str:
    """What a command that succeeds prints."""
    result = await sandbox.run(command, timeout_s=30)
    assert result.exit_code == 0, result.output
    return result.output


async def eventually(condition: Callable[[], bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)
