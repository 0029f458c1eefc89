"""Calls that llama.cpp and OpenVINO have to make: asked for as JSON that a schema holds to, and told as calls.

By itself llama.cpp lets a model write text before a call that is required, and a small model does not come to the call;
OpenVINO forces none.
"""

import json
import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from pydantic import JsonValue

from patchwright.schema.messages import Json, ToolSpec
from patchwright.serving.body import ChatBody
from patchwright.serving.conversation import tools_of

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)')
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords of JSON Schema whose names are the user's, not keywords."""
_VALUES = ("const", "default", "enum", "examples")
_MAY_BE_THE_END = " \t\r\n}"


def as_json(body: ChatBody) -> Json:
    """The fields that ask for the call as JSON. All tools stay in the prompt, and in its cache; there is no
    text for stop strings to stop."""
    schema = call_schema([tool for tool in tools_of(body) if body.named_tool in {None, tool.name}])
    wanted = {"name": "call", "schema": schema, "strict": True}
    return {"tool_choice": "none", "response_format": {"type": "json_schema", "json_schema": wanted}, "stop": None}


def call_schema(tools: Sequence[ToolSpec]) -> Json:
    """Of one call, of any of the tools: its name and its arguments, in this order."""
    definitions = {
        f"tool{n}": _moved(tool.parameters | {"type": "object"}, f"#/$defs/tool{n}") for n, tool in enumerate(tools)
    }
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": {"$ref": f"#/$defs/{definition}"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool, definition in zip(tools, definitions, strict=True)
    ]
    return {"anyOf": calls, "$defs": definitions}


async def as_calls(chunks: AsyncGenerator[Json]) -> AsyncGenerator[Json]:
    """The chunks with the calls that their content spells. Content that spells none stays what it is."""
    calls: dict[int, _Call] = {}
    async with aclosing(chunks):
        async for chunk in chunks:
            for choice in chunk.get("choices") or ():
                call = calls.setdefault(choice.get("index", 0), _Call())
                delta: Json = choice.get("delta") or {}
                choice["delta"] = delta | call.add(delta.pop("content", None) or "", choice.get("finish_reason"))
                if call.begun and choice.get("finish_reason") == "stop":
                    choice["finish_reason"] = "tool_calls"
            yield chunk


class _Call:
    """The call of one choice, piece by piece."""

    def __init__(self) -> None:
        self.begun = False
        self._told = ""
        self._held = ""
        """What was not told yet: the beginning, or what may be the brace that closes the whole."""

    def add(self, content: str, finish_reason: str | None) -> Json:
        """The delta that tells what is new."""
        self._held += content
        function: Json = {"arguments": ""}
        piece: Json = {"index": 0, "function": function}
        if not self.begun and (head := _HEAD.match(self._held)):
            self.begun = True
            self._held = self._held[head.end() :]
            function["name"] = json.loads(head[1])
            piece |= {"id": f"call_{secrets.token_hex(12)}", "type": "function"}
        if self.begun:
            function["arguments"] = self._arguments(last=finish_reason is not None)
            return {"tool_calls": [piece]} if function["arguments"] or "name" in function else {}
        if finish_reason:
            return {"content": self._held}
        return {}

    def _arguments(self, *, last: bool) -> str:
        if last:
            text = self._held.rstrip()
            return text if _is_json(self._told + text) else text.removesuffix("}").rstrip()
        certain = len(self._held.rstrip(_MAY_BE_THE_END))
        text, self._held = self._held[:certain], self._held[certain:]
        self._told += text
        return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _moved(schema: JsonValue, root: str) -> JsonValue:
    """The schema as a part of another: what it refers to in itself is below `root` there."""
    match schema:
        case dict():
            return {key: _moved_keyword(key, value, root) for key, value in schema.items()}
        case list():
            return [_moved(each, root) for each in schema]
        case _:
            return schema


def _moved_keyword(keyword: str, value: JsonValue, root: str) -> JsonValue:
    match value:
        case str() if keyword == "$ref" and value.startswith("#"):
            return root + value.removeprefix("#")
        case dict() if keyword in _SCHEMAS_BY_NAME:
            return {name: _moved(each, root) for name, each in value.items()}
        case _ if keyword in _VALUES:
            return value
        case _:
            return _moved(value, root)
