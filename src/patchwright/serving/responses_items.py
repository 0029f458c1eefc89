"""The items of a response's output, and the events that a client sees them grow by.

The shapes are OpenAI's: https://platform.openai.com/docs/api-reference/responses-streaming
"""

import secrets
from typing import Protocol

from patchwright.schema.messages import Json


class Item(Protocol):
    """One item. Its events lack the sequence number."""

    index: int
    """Its place in the output."""

    def begin(self) -> list[Json]: ...

    def end(self, status: str) -> list[Json]:
        """status: completed or incomplete."""
        ...

    def json(self, status: str) -> Json: ...


class _Written:
    """An item with one part, which grows. kind: the part's; prefix: of the item's id."""

    def __init__(self, index: int, kind: str, prefix: str) -> None:
        self.index = index
        self._kind = kind
        self._id = new_id(prefix)
        self._text = ""

    def begin(self) -> list[Json]:
        return [
            _item_event("added", self.index, self.head("in_progress") | {"content": []}),
            self._event("content_part.added", part=self._part()),
        ]

    def add(self, text: str) -> list[Json]:
        self._text += text
        return [self._event(f"{self._kind}.delta", delta=text, **self.extras())]

    def end(self, status: str) -> list[Json]:
        return [
            self._event(f"{self._kind}.done", text=self._text, **self.extras()),
            self._event("content_part.done", part=self._part()),
            _item_event("done", self.index, self.json(status)),
        ]

    def json(self, status: str) -> Json:
        return self.head(status) | {"content": [self._part()]}

    def head(self, status: str) -> Json:
        """The item without its part."""
        return {"id": self._id, "status": status}

    def extras(self) -> Json:
        """What the events have beside the text."""
        return {}

    def _part(self) -> Json:
        return {"type": self._kind, "text": self._text}

    def _event(self, name: str, **fields: object) -> Json:
        where = {"item_id": self._id, "output_index": self.index, "content_index": 0}
        return {"type": f"response.{name}"} | where | fields


class Message(_Written):
    """What the model says."""

    def __init__(self, index: int) -> None:
        super().__init__(index, "output_text", "msg")

    def head(self, status: str) -> Json:
        return super().head(status) | {"type": "message", "role": "assistant"}

    def extras(self) -> Json:
        return {"logprobs": []}

    def _part(self) -> Json:
        return super()._part() | {"annotations": [], "logprobs": []}


class Reasoning(_Written):
    """What it thinks before."""

    def __init__(self, index: int) -> None:
        super().__init__(index, "reasoning_text", "rs")

    def head(self, status: str) -> Json:
        return super().head(status) | {"type": "reasoning", "summary": []}


class Call:
    """A function that it calls. call_id: the engine's; one is made where it gave none."""

    def __init__(self, index: int, call_id: str, name: str, namespace: str | None) -> None:
        self.index = index
        self._id = new_id("fc")
        self._call_id = call_id or new_id("call")
        self._name = name
        self._namespace = namespace
        self._arguments = ""

    def begin(self) -> list[Json]:
        return [_item_event("added", self.index, self.json("in_progress"))]

    def add(self, arguments: str) -> list[Json]:
        self._arguments += arguments
        return [self._event("delta", delta=arguments)]

    def end(self, status: str) -> list[Json]:
        done = self._event("done", name=self._name, arguments=self._arguments)
        return [done, _item_event("done", self.index, self.json(status))]

    def json(self, status: str) -> Json:
        called: Json = {"call_id": self._call_id, "name": self._name, "arguments": self._arguments}
        named = called if self._namespace is None else called | {"namespace": self._namespace}
        return {"id": self._id, "type": "function_call", "status": status} | named

    def _event(self, change: str, **fields: object) -> Json:
        where = {"item_id": self._id, "output_index": self.index}
        return {"type": f"response.function_call_arguments.{change}"} | where | fields


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _item_event(change: str, index: int, item: Json) -> Json:
    return {"type": f"response.output_item.{change}", "output_index": index, "item": item}
