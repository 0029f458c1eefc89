"""A work tree under a real bubblewrap sandbox, and the tools over it."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from patchwright.errors import ToolError
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.messages import ToolCall
from patchwright.tools.base import Observation
from patchwright.tools.search import own_ripgrep
from patchwright.tools.toolbox import TOOLS, Toolbox, open_toolbox
from tests.conftest import git

LIMIT_CHARS = 4000
CallTool = Callable[..., Awaitable[Observation]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet")
    return root


@pytest.fixture
async def toolbox(tree: Path) -> AsyncIterator[Toolbox]:
    settings = SandboxSettings(path=os.environ["PATH"], readable=(own_ripgrep(),))
    async with open_sandbox("bubblewrap", tree, settings) as sandbox:
        yield open_toolbox(TOOLS, sandbox, LIMIT_CHARS)


@pytest.fixture
def call(toolbox: Toolbox) -> CallTool:
    """Calls a tool; a ToolError comes back as a failed observation, as the agent makes it one."""

    async def call_tool(name: str, **arguments: object) -> Observation:
        raw = ToolCall(id="call00001", name=name, arguments=json.dumps(arguments))
        try:
            return await toolbox.call(raw)
        except ToolError as error:
            return Observation(text=str(error), failed=True)

    return call_tool
