"""Conversations as request bodies, in both ways of calling tools."""

import json
from typing import Any

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import MistralRequestValidatorV13

from patchwright.chat.calling import CALLING
from patchwright.schema.messages import (
    AssistantMessage,
    Request,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)

SPEC = ToolSpec(
    name="search",
    description="Find text.",
    parameters={"type": "object", "properties": {"pattern": {"type": "string"}}, "required": ["pattern"]},
)
CALL = ToolCall(id="call00001", name="search", arguments='{"pattern": "x"}')
CONVERSATION = (
    SystemMessage(content="Rules."),
    UserMessage(content="Fix it."),
    AssistantMessage(content="", tool_calls=(CALL,)),
    ToolMessage(tool_call_id="call00001", name="search", content="a.py:1: x"),
)


def test_native_bodies_are_what_mistrals_own_validator_accepts() -> None:
    body = CALLING["native"].body(Request(messages=CONVERSATION, tools=(SPEC,)))
    request: ChatCompletionRequest[Any] = ChatCompletionRequest.model_validate(body)
    MistralRequestValidatorV13().validate_request(request)
    assert body["tools"] == [{"type": "function", "function": SPEC.model_dump()}]
    assert body["messages"][2] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call00001", "type": "function", "function": {"name": "search", "arguments": CALL.arguments}}
        ],
    }


@pytest.mark.parametrize("arguments", ["{broken", "[1]", " "])
def test_arguments_that_are_no_object_are_sent_back_as_one(arguments: str) -> None:
    """Templates parse the arguments of past calls; an engine answers 500 to what they can't parse."""
    message = AssistantMessage(tool_calls=(CALL.model_copy(update={"arguments": arguments}),))
    body = CALLING["native"].body(Request(messages=(UserMessage(content="x"), message)))
    sent = body["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == ({"malformed": arguments} if arguments.strip() else {})


def test_json_bodies_alternate_between_user_and_assistant() -> None:
    nudged = (*CONVERSATION[:2], AssistantMessage(content="{cut"), UserMessage(content="Error: cut off."))
    for messages in (CONVERSATION, nudged, (*CONVERSATION, UserMessage(content="And?"))):
        body = CALLING["json"].body(Request(messages=messages, tools=(SPEC,), calling="json"))
        roles = [message["role"] for message in body["messages"]]
        assert roles == ["system", "user", "assistant", "user"]


def test_json_bodies_only_grow_as_the_conversation_does() -> None:
    bodies = [
        CALLING["json"].body(Request(messages=CONVERSATION[:length], tools=(SPEC,), calling="json"))["messages"]
        for length in (2, 4)
    ]
    assert bodies[1][: len(bodies[0])] == bodies[0]


def test_the_json_schema_holds_a_step_to_one_of_the_tools() -> None:
    body = CALLING["json"].body(Request(messages=CONVERSATION, tools=(SPEC,), calling="json"))
    [variant] = body["response_format"]["json_schema"]["schema"]["anyOf"]
    assert list(variant["properties"]) == ["thought", "tool", "arguments"]
    assert variant["properties"]["tool"] == {"const": "search"}
    assert variant["properties"]["arguments"] == SPEC.parameters


@pytest.mark.parametrize(
    ("content", "thought"),
    [("", ""), ('{"thou', ""), ('{"thought": "a\\n', "a\n"), ('{"thought": "ab", "tool": "x"}', "ab"), ("[", "")],
)
def test_the_thought_is_shown_as_far_as_it_has_come(content: str, thought: str) -> None:
    assert CALLING["json"].shown(content) == thought
