"""Replaying a recorded run: the same conversation gets the same answers, another one fails loudly."""

import pytest

from patchwright.errors import EngineError, RecordError
from patchwright.policy.replay import ReplayPolicy
from patchwright.policy.scripted import ScriptedPolicy, calls
from patchwright.schema.events import MessageAdded, Replied, RunStarted, ToolFinished
from patchwright.schema.messages import (
    AssistantMessage,
    Reply,
    Request,
    SystemMessage,
    TextDelta,
    ToolMessage,
    Usage,
    UserMessage,
)
from patchwright.schema.trajectory import Header, Trajectory

SYSTEM, TASK = SystemMessage(content="s"), UserMessage(content="fix it")
FIRST = AssistantMessage(content="look")
SEEN = ToolMessage(tool_call_id="call00001", name="search", content="found")
RECORDED = Trajectory(
    header=Header(id="r", created="2026-01-01T00:00:00Z", patchwright="0.1.0"),
    events=(
        RunStarted(task="fix it", profile="small", model="coder", work_tree="/w", sandbox="none"),
        MessageAdded(message=SYSTEM),
        MessageAdded(message=TASK),
        Replied(message=FIRST, usage=Usage(prompt_tokens=5), finish_reason="stop", first_token_s=0, duration_s=0),
        ToolFinished(message=SEEN, duration_s=0),
        Replied(message=FIRST, usage=Usage(), finish_reason="stop", first_token_s=0, duration_s=0),
    ),
)


async def test_the_recorded_conversation_gets_the_recorded_answers() -> None:
    policy = ReplayPolicy(RECORDED)
    deltas = [delta async for delta in policy.stream(Request(messages=(SYSTEM, TASK)))]
    assert deltas == [TextDelta(text="look"), Reply(message=FIRST, usage=Usage(prompt_tokens=5))]
    assert policy.name == "coder"
    assert [d async for d in policy.stream(Request(messages=(SYSTEM, TASK, FIRST, SEEN)))]
    with pytest.raises(RecordError, match="request 3: the recorded run made only 2"):
        _ = [d async for d in policy.stream(Request(messages=(SYSTEM, TASK, FIRST, SEEN, FIRST)))]


async def test_another_conversation_fails_loudly() -> None:
    policy = ReplayPolicy(RECORDED)
    with pytest.raises(RecordError, match="request 1: message 2 is not the recorded one"):
        _ = [d async for d in policy.stream(Request(messages=(SYSTEM, UserMessage(content="break it"))))]
    with pytest.raises(RecordError, match="request 1: 1 messages, the recorded run had 2"):
        _ = [d async for d in policy.stream(Request(messages=(SYSTEM,)))]


async def test_a_script_numbers_its_calls_and_runs_out() -> None:
    policy = ScriptedPolicy([calls(("search", {"pattern": "x"}), text="look"), EngineError("gone")])
    [_, reply] = [d async for d in policy.stream(Request(messages=(TASK,)))]
    assert isinstance(reply, Reply)
    assert [call.id for call in reply.message.tool_calls] == ["call00001"]
    with pytest.raises(EngineError, match="gone"):
        _ = [d async for d in policy.stream(Request(messages=(TASK,)))]
    with pytest.raises(EngineError, match="no answer to request 3"):
        _ = [d async for d in policy.stream(Request(messages=(TASK,)))]
