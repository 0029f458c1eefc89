"""What an engine may expect of a conversation that a gateway passes on."""

import json
from collections.abc import Sequence
from typing import Any

import jsonschema

from tests.clients.upstream import Call, Reply


def check_conversation(messages: Sequence[dict[str, Any]]) -> None:
    """The system prompt comes first and once; each call has one result, with its id, before anybody speaks again."""
    waiting: list[str] = []
    for number, message in enumerate(messages):
        role = message["role"]
        assert role in {"system", "user", "assistant", "tool"}, message
        assert role != "system" or number == 0, messages
        if role == "tool":
            assert isinstance(message["content"], str | list), message
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, f"calls without a result before {message}"
        for call in message.get("tool_calls") or ():
            assert call["type"] == "function", call
            assert isinstance(json.loads(call["function"]["arguments"]), dict), call
            waiting.append(call["id"])
        assert message.get("tool_calls") or message["content"], message
    assert not waiting
    assert messages[-1]["role"] in {"user", "tool"}


def check_tools(tools: Sequence[dict[str, Any]], replies: Sequence[Reply]) -> None:
    """Each tool has a name of its own and a schema, and the scripted calls are calls of them."""
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    assert len(schemas) == len(tools)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for reply in replies:
        if isinstance(reply, Call):
            assert reply.name in schemas, f"{reply.name} is not among {sorted(schemas)}"
            jsonschema.validate(reply.arguments, schemas[reply.name])
