from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patchwright.agent.sessions import Session, SessionStore
from patchwright.cli.session import app
from patchwright.errors import RecordError
from patchwright.schema import trajectory
from patchwright.schema.events import MessageAdded, Replied, RunFinished, StepStarted, ToolFinished, ToolStarted
from patchwright.schema.messages import AssistantMessage, ToolCall, ToolMessage, Usage, UserMessage

EVENTS = (
    MessageAdded(message=UserMessage(content="fix it\nplease")),
    StepStarted(step=1, prompt_tokens=10),
    Replied(
        message=AssistantMessage(
            content="I look.", tool_calls=(ToolCall(id="a", name="execute_bash", arguments='{"command":"ls"}'),)
        ),
        usage=Usage(),
        finish_reason="tool_calls",
        first_token_s=0.1,
        duration_s=0.2,
    ),
    ToolStarted(call_id="a", name="execute_bash", arguments='{"command":"ls"}'),
    ToolFinished(message=ToolMessage(tool_call_id="a", name="execute_bash", content="a.py\x1b[2J\n"), duration_s=1.25),
    RunFinished(reason="done", message="fixed", patch="diff --git …\n", steps=1, usage=Usage(), duration_s=3),
)

SHOWN = """\
user:
    fix it
    please
step 1
assistant:
    I look.
call execute_bash:
    {"command":"ls"}
observation (1.2 s):
    a.py\\x1b[2J
finished: done, 1 steps, 3.0 s:
    fixed
    diff --git …
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SessionStore]:
    monkeypatch.setenv("PATCHWRIGHT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("PATCHWRIGHT_CONFIG", str(tmp_path / "no-config.toml"))
    with closing(SessionStore(tmp_path / "sessions" / "sessions.sqlite")) as opened:
        yield opened


@pytest.fixture
def session(store: SessionStore) -> Session:
    created = store.create(work_tree=Path("/tree"), task="fix it\nplease", profile="small", model="tiny")
    for event in EVENTS:
        created.append(event)
    return created


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_list_has_one_line_for_each_session(session: Session) -> None:
    when = session.facts.created[:16].replace("T", " ")

    assert invoke("list").stdout == f"{session.id}  {when}  tiny  /tree  fix it\n"


def test_show_prints_the_steps_whole_and_harmless(session: Session) -> None:
    assert invoke("show", session.id[:-2]).stdout == SHOWN


def test_export_writes_the_trajectory(session: Session, store: SessionStore, tmp_path: Path) -> None:
    invoke("export", session.id, str(tmp_path / "run.jsonl"))

    assert trajectory.read(tmp_path / "run.jsonl") == store.trajectory(session.id)
    assert invoke("export", session.id, "-").stdout == (tmp_path / "run.jsonl").read_text()


def test_export_to_where_nothing_can_be_written_is_an_error(session: Session, tmp_path: Path) -> None:
    assert isinstance(invoke("export", session.id, str(tmp_path)).exception, RecordError)


def test_rm_removes_the_session(session: Session, store: SessionStore) -> None:
    assert invoke("rm", session.id).exit_code == 0
    assert store.list() == ()
    assert str(invoke("show", session.id).exception) == f"no session {session.id}"
