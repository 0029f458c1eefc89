"""A scripted model behind an OpenAI-compatible endpoint: it does one task, and keeps what it was asked."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.cli.endpoint import Endpoint
from tests.clients.page import MODEL

ASIDE = "Hello"
"""What is answered to what is not the task: agents also ask for a title, or for a message of a commit."""
PIECE_CHARS = 7


@dataclass(frozen=True)
class Call:
    """A tool's call."""

    name: str
    arguments: dict[str, Any]


Reply = str | Call


class ScriptedModel(Endpoint):
    """Answers request n about the `task` with reply n, and after the last one with the last one.

    tooled: whether the agent gives the model tools; then what comes without tools is no part of the task.
    """

    listed = {"id": MODEL, "max_model_len": 131072}

    def __init__(self, task: str, replies: Sequence[Reply], *, tooled: bool) -> None:
        super().__init__([])
        self._task = task
        self._replies = list(replies)
        self._tooled = tooled
        self.asides: list[dict[str, Any]] = []

    def answer(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        if not self._is_task(body):
            self.asides.append(body)
            return list(_chunks(ASIDE, "aside"))
        self.requests.append(body)
        number = min(len(self.requests), len(self._replies))
        return list(_chunks(self._replies[number - 1], f"call-{number}"))

    def _is_task(self, body: dict[str, Any]) -> bool:
        return self._task in json.dumps(body["messages"]) and bool(body.get("tools")) == self._tooled


def _chunks(reply: Reply, call_id: str) -> Iterator[dict[str, Any]]:
    """In small pieces, as engines write them."""
    if isinstance(reply, str):
        yield from (_chunk({"content": piece}) for piece in _pieces(reply))
        yield _chunk({}, "stop")
    else:
        yield _called({"id": call_id, "type": "function", "function": {"name": reply.name, "arguments": ""}})
        yield from (_called({"function": {"arguments": piece}}) for piece in _pieces(json.dumps(reply.arguments)))
        yield _chunk({}, "tool_calls")
    yield _head([]) | {"usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}


def _called(call: dict[str, Any]) -> dict[str, Any]:
    return _chunk({"tool_calls": [{"index": 0} | call]})


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return _head([{"index": 0, "delta": delta, "finish_reason": finish}])


def _head(choices: list[Any]) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS)]
