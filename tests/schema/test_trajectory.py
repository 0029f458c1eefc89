"""A trajectory file round-trips byte for byte and refuses what it does not know."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchwright.errors import RecordError
from patchwright.schema.events import (
    AnyEvent,
    MessageAdded,
    Replied,
    RunFinished,
    RunStarted,
    TextArrived,
    ToolFinished,
    ToolStarted,
)
from patchwright.schema.messages import AssistantMessage, ToolCall, ToolMessage, Usage, UserMessage
from patchwright.schema.trajectory import Header, Trajectory, dumps, loads, read, write

HEADER = Header(id="a1", created="2026-01-01T00:00:00Z", patchwright="0.1.0")

texts = st.text()
events = st.one_of(
    st.builds(TextArrived, text=texts),
    st.builds(MessageAdded, message=st.builds(UserMessage, content=texts)),
    st.builds(ToolStarted, call_id=texts, name=texts, arguments=texts),
    st.builds(
        Replied,
        message=st.builds(
            AssistantMessage,
            content=texts,
            tool_calls=st.lists(st.builds(ToolCall, id=texts, name=texts, arguments=texts)).map(tuple),
        ),
        usage=st.builds(Usage),
        finish_reason=st.sampled_from(["stop", "length"]),
        first_token_s=st.floats(0, 1e6),
        duration_s=st.floats(0, 1e6),
    ),
)


@given(st.lists(events))
def test_a_trajectory_round_trips_byte_for_byte(made: list[AnyEvent]) -> None:
    text = dumps(Trajectory(header=HEADER, events=tuple(made)))
    assert loads(text) == Trajectory(header=HEADER, events=tuple(made))
    assert dumps(loads(text)).encode() == text.encode()


def test_a_file_round_trips_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    message = ToolMessage(tool_call_id="call00001", name="search", content="a\u2028b\r\n\x00é")
    write(path, Trajectory(header=HEADER, events=(ToolFinished(message=message, duration_s=0.1),)))
    before = path.read_bytes()
    write(path, read(path))
    assert path.read_bytes() == before


def test_an_unknown_field_is_refused_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    started = RunStarted(task="t", profile="p", model="m", work_tree="/w", sandbox="none")
    strange = json.loads(started.model_dump_json()) | {"mood": "good"}
    path.write_text(f"{HEADER.model_dump_json()}\n{started.model_dump_json()}\n{json.dumps(strange)}\n")
    with pytest.raises(RecordError, match=r"run\.jsonl:3: run_started\.mood: extra inputs are not permitted"):
        read(path)


def test_an_unknown_version_is_refused_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(HEADER.model_dump_json().replace('"version":1', '"version":2') + "\n")
    with pytest.raises(RecordError, match=r"run\.jsonl:1: version: input should be 1"):
        read(path)


def test_an_unknown_kind_of_event_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"x:2: .*kind"):
        loads(f'{HEADER.model_dump_json()}\n{{"kind":"party"}}\n', "x")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", ":1: the file is empty"), (b"\xff\xfe", "not UTF-8"), (b"{", ":1: invalid json"), (b"[]\n", ":1: ")],
)
def test_a_file_that_is_no_trajectory_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=complaint):
        read(path)


def test_a_missing_file_is_a_record_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such file"):
        read(tmp_path / "none")


def test_run_finished_keeps_its_patch() -> None:
    finished = RunFinished(
        reason="done", message="", patch="--- a\n+++ b\n", steps=1, usage=Usage(prompt_tokens=3), duration_s=1.5
    )
    assert loads(dumps(Trajectory(header=HEADER, events=(finished,)))).events == (finished,)
