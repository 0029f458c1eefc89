"""Real clients at `patchwright serve`, set up as docs/clients.md says: each writes a file with its own tools."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.agent import Ended, work
from tests.clients.installation import programs
from tests.clients.page import section
from tests.clients.upstream import Call, Reply
from tests.clients.versions import CLIENTS
from tests.clients.well_formed import check_conversation, check_tools
from tests.conftest import git

pytestmark = pytest.mark.clients

TEXT = "print('hello')\n"
SHELL = "cat > hello.py <<'END'\nprint('hello')\nEND"
DONE = "I wrote hello.py, as you asked."
MESSAGE = "Write hello.py"


@dataclass(frozen=True)
class Work:
    """What the model does, given the checkout."""

    replies: Callable[[Path], list[Reply]]
    tooled: bool = True
    says: str = DONE
    """What the client prints at the end."""


def called(name: str, **arguments: object) -> Callable[[Path], list[Reply]]:
    return lambda checkout: [Call(name, arguments), DONE]


def at_full_path(name: str, path: str, text: str, **arguments: object) -> Callable[[Path], list[Reply]]:
    return lambda checkout: [Call(name, {path: str(checkout / "hello.py"), text: TEXT, **arguments}), DONE]


def openhands(checkout: Path) -> list[Reply]:
    create = {"command": "create", "path": str(checkout / "hello.py"), "file_text": TEXT}
    return [
        Call("file_editor", create),
        Call("terminal", {"command": "python3 hello.py"}),
        Call("finish", {"message": DONE}),
    ]


def mini_swe_agent(checkout: Path) -> list[Reply]:
    end = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
    return [Call("bash", {"command": SHELL}), Call("bash", {"command": end})]


def aider(checkout: Path) -> list[Reply]:
    return [f"{DONE}\n\nhello.py\n```python\n{TEXT}```\n", MESSAGE]


WORK = {
    "openai": Work(called("write_file", path="hello.py", text=TEXT)),
    "openai-agents": Work(called("write_file", path="hello.py", text=TEXT)),
    "langchain": Work(called("write_file", path="hello.py", text=TEXT)),
    "openhands": Work(openhands),
    "aider": Work(aider, tooled=False),
    "mini-swe-agent": Work(mini_swe_agent, says="Saved trajectory to"),
    "mistral-vibe": Work(called("write_file", path="hello.py", content=TEXT)),
    "cline": Work(at_full_path("editor", "path", "new_text")),
    "opencode": Work(at_full_path("write", "filePath", "content")),
    "codex": Work(called("exec_command", cmd=SHELL)),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_it_writes_a_file_with_its_own_tools_and_ends(client: str, tmp_path: Path) -> None:
    installed = programs(client)
    if isinstance(installed, str):
        pytest.skip(installed)
    own = WORK[client]
    replies = own.replies(tmp_path / "checkout")
    ended = work(installed, section(client), replies, tmp_path, tooled=own.tooled)
    assert (ended.code, own.says in ended.output) == (0, True), ended.output
    assert (ended.checkout / "hello.py").read_text() == TEXT
    check_requests(ended, replies)


def check_requests(ended: Ended, replies: list[Reply]) -> None:
    assert len(ended.model.requests) == len(replies)
    for request in (*ended.model.requests, *ended.model.asides):
        check_conversation(request["messages"])
    for request, reply in zip(ended.model.requests, replies, strict=True):
        check_tools(request.get("tools", ()), [reply])


def test_what_aider_wrote_is_committed_with_the_models_message(tmp_path: Path) -> None:
    installed = programs("aider")
    if isinstance(installed, str):
        pytest.skip(installed)
    ended = work(installed, section("aider"), aider(tmp_path), tmp_path, tooled=False)
    assert git(ended.checkout, "log", "--format=%s").splitlines() == [MESSAGE, "start"]
