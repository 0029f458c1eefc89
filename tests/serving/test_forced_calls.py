"""Calls that llama.cpp has to make: what is asked for, what is told, and a real engine's."""

import itertools
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import JsonValue

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.policy.connection import Connection
from patchwright.schema.messages import Json, ToolSpec
from patchwright.serving.chunks import Completion, chunk
from patchwright.serving.forced_calls import as_calls, call_schema
from patchwright.serving.openai_upstream import OpenAIUpstream
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.serving.served import gateway_for, served

CHAT = "/v1/chat/completions"
MOVE = {
    "type": "object",
    "properties": {"from": {"$ref": "#/$defs/place"}, "to": {"$ref": "#/$defs/place"}},
    "required": ["from", "to"],
    "additionalProperties": False,
    "$defs": {"place": {"enum": ["a", "b"]}},
}
STOP = {
    "type": "object",
    "properties": {"now": {"type": "boolean"}},
    "required": ["now"],
    "additionalProperties": False,
}
SCHEMAS = {"move": MOVE, "stop": STOP}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": each}} for name, each in SCHEMAS.items()]


async def told(*texts: str, finish_reason: str = "stop") -> dict[str, Any]:
    """The choice that the pieces of one content come to."""

    async def chunks() -> AsyncGenerator[Json]:
        for text in texts:
            yield chunk({"content": text})
        yield chunk({}, finish_reason=finish_reason)

    completion = Completion()
    async for each in as_calls(chunks()):
        completion.add(each)
    return completion.json()["choices"][0]


async def test_a_call_is_the_same_however_its_text_is_cut() -> None:
    arguments = '{"a": {"}": "}\\n"}, "b": [{}]}'
    text = f' {{ "name" : "m\\u0061ke","arguments": {arguments} }} \n'
    for first, second in itertools.combinations(range(len(text) + 1), 2):
        choice = await told(text[:first], text[first:second], text[second:])
        (call,) = choice["message"]["tool_calls"]
        assert call["function"] == {"name": "make", "arguments": arguments}
        assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)


async def test_what_is_cut_off_is_told_as_far_as_it_came() -> None:
    choice = await told('{"name": "make", "arguments": {"a": {', "}", finish_reason="length")
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": {'
    assert choice["finish_reason"] == "length"
    complete = await told('{"name": "make", "arguments": {"a": {}', "}", finish_reason="length")
    assert complete["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": {}}'
    whole = await told('{"name": "make", "arguments": {"a": 1}}', finish_reason="length")
    assert whole["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'
    assert (await told('{"na', "me", finish_reason="length"))["message"]["content"] == '{"name'


def test_the_schema_takes_calls_of_the_tools_and_no_others() -> None:
    schema = call_schema([ToolSpec(name=name, description="", parameters=each) for name, each in SCHEMAS.items()])
    jsonschema.validate({"name": "move", "arguments": {"from": "a", "to": "b"}}, schema)
    for call in ({"name": "move", "arguments": {"from": "a", "to": "c"}}, {"name": "stop", "arguments": {"from": "a"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(call, schema)


def test_what_a_schema_refers_to_is_found_where_it_was_moved_and_its_values_stay() -> None:
    value: JsonValue = {"$ref": "#/a"}
    parameters: Json = {
        "type": "string",
        "properties": {"enum": {"$ref": "#/$defs/place"}, "all": {"items": [{"$ref": "#"}]}, "is": {"const": value}},
        "$defs": {"place": {"enum": [value]}},
    }
    moved = call_schema([ToolSpec(name="go", description="", parameters=parameters)])["$defs"]["tool0"]
    assert moved == {
        "type": "object",
        "properties": {
            "enum": {"$ref": "#/$defs/tool0/$defs/place"},
            "all": {"items": [{"$ref": "#/$defs/tool0"}]},
            "is": {"const": value},
        },
        "$defs": {"place": {"enum": [value]}},
    }


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    directory = tmp_path_factory.mktemp("engine")
    weights = write_tiny_gguf(directory / "tiny.gguf")
    yield LlamaCpp(weights, LlamaCppSettings(threads=1, context_tokens=2048), directory)
    for running in running_engines(directory):
        stop_engine(running, directory)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "stop"}}])
async def test_a_model_that_knows_nothing_makes_the_call_all_the_same(engine: LlamaCpp, choice: str | Json) -> None:
    async with (
        Connection.opened(engine.connect) as connection,
        served(gateway_for(OpenAIUpstream(connection))) as client,
    ):
        for seed in range(4):
            body = {"messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS, "tool_choice": choice}
            body |= {"max_tokens": 400, "temperature": 1.0, "seed": seed}
            answer = (await client.post(CHAT, json=body)).json()
            streamed = (await client.post(CHAT, json=body | {"stream": True})).text
            (call,) = answer["choices"][0]["message"]["tool_calls"]
            assert call["function"]["name"] == "stop" or choice == "required"
            jsonschema.validate(json.loads(call["function"]["arguments"]), SCHEMAS[call["function"]["name"]])
            completion = Completion()
            for line in streamed.splitlines():
                if line.startswith("data: {"):
                    completion.add(json.loads(line.removeprefix("data: ")))
            (again,) = completion.json()["choices"][0]["message"]["tool_calls"]
            assert again["function"] == call["function"]
