"""How an answer is told in the words of OpenAI's Responses API: its events, and the response that they add up to.

The shapes are those of the `openai` package, in openai.types.responses.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from patchwright.schema.messages import Json
from patchwright.serving.chunks import chunk
from patchwright.serving.problems import BUSY, CUT_OFF, TOO_LONG, Problem
from patchwright.serving.responses_body import ChoiceBody, OtherToolBody, ResponsesBody
from patchwright.serving.responses_chat import functions_of
from patchwright.serving.responses_items import Call, Item, Message, Reasoning, new_id

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is not complete, by the reason that a chat completion ends for."""


async def to_its_limit(chunks: AsyncGenerator[Json]) -> AsyncGenerator[Json]:
    """The chunks. What a chat can only refuse, a call that is cut off at the limit of tokens, is an end here: a
    response can say that it is incomplete."""
    try:
        async with aclosing(chunks):
            async for each in chunks:
                yield each
    except Problem as problem:
        if problem.kind is not CUT_OFF:
            raise
        yield chunk({}, finish_reason="length")


class ResponsesWording:
    """Of one answer to `body` by `model`.

    Agents run a call when its item is done. So calls are done with the answer, which is checked; those of an answer
    that ends at its limit or fails are never done, and not in the response.
    """

    last: bytes | None = None

    def __init__(self, body: ResponsesBody, model: str) -> None:
        self._functions = functions_of(body)
        self._response = _head(body, model)
        self._output: dict[int, Json] = {}
        self._events = 0
        self._items = 0
        self._written: Message | Reasoning | None = None
        self._calls: dict[int, Call] = {}
        self._finish_reason: str | None = None

    def begin(self) -> list[Json]:
        return self._numbered([self._event("created"), self._event("in_progress")])

    def add(self, chunk: Json) -> list[Json]:
        self._response["usage"] = _usage(chunk) or self._response["usage"]
        return self._numbered([event for choice in chunk.get("choices") or () for event in self._added(choice)])

    def end(self) -> list[Json]:
        events = self._said()
        reason = _INCOMPLETE.get(self._finish_reason or "")
        events += self._written_to_its_end("incomplete" if reason else "completed")
        for call in () if reason else self._calls.values():
            events += self._done(call, "completed")
        self._response["status"] = "incomplete" if reason else "completed"
        self._response["incomplete_details"] = {"reason": reason} if reason else None
        return self._numbered([*events, self._event(self._response["status"])])

    def fail(self, problem: Problem) -> list[Json]:
        error = {"code": problem.kind.code, "message": str(problem), "param": problem.param}
        self._response |= {"status": "failed", "error": {"code": _code(problem), "message": str(problem)}}
        return self._numbered([{"type": "error"} | error, self._event("failed")])

    def whole(self) -> Json:
        return self._response

    def _added(self, choice: Json) -> list[Json]:
        delta: Json = choice.get("delta") or {}
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        events: list[Json] = []
        thought = delta.get("reasoning_content") or delta.get("reasoning")  # vLLM has changed from one to the other
        for kind, text in ((Reasoning, thought), (Message, delta.get("content"))):
            if isinstance(text, str) and text:
                events += self._write(kind, text)
        for piece in delta.get("tool_calls") or ():
            events += self._called(piece)
        return events

    def _write(self, kind: type[Message | Reasoning], text: str) -> list[Json]:
        if isinstance(self._written, kind):
            return self._written.add(text)
        events = self._written_to_its_end("completed")
        item = kind(self._next_index())
        self._written = item
        return [*events, *item.begin(), *item.add(text)]

    def _called(self, piece: Json) -> list[Json]:
        function: Json = piece.get("function") or {}
        events = self._written_to_its_end("completed")
        number = piece.get("index", 0)
        if number not in self._calls:
            self._calls[number] = self._call(piece.get("id") or "", function.get("name") or "")
            events += self._calls[number].begin()
        if arguments := function.get("arguments"):
            events += self._calls[number].add(arguments)
        return events

    def _call(self, call_id: str, name: str) -> Call:
        function = self._functions.get(name)
        if function is None:
            return Call(self._next_index(), call_id, name, None)
        return Call(self._next_index(), call_id, function.tool.name, function.namespace)

    def _said(self) -> list[Json]:
        """Who says nothing says an empty message, as in a chat."""
        if self._items:
            return []
        self._written = Message(self._next_index())
        return self._written.begin()

    def _written_to_its_end(self, status: str) -> list[Json]:
        written, self._written = self._written, None
        return [] if written is None else self._done(written, status)

    def _done(self, item: Item, status: str) -> list[Json]:
        self._output[item.index] = item.json(status)
        self._response["output"] = [self._output[index] for index in sorted(self._output)]
        return item.end(status)

    def _next_index(self) -> int:
        self._items += 1
        return self._items - 1

    def _event(self, name: str) -> Json:
        return {"type": f"response.{name}", "response": dict(self._response)}

    def _numbered(self, events: list[Json]) -> list[Json]:
        first, self._events = self._events, self._events + len(events)
        return [event | {"sequence_number": first + number} for number, event in enumerate(events)]


def _head(body: ResponsesBody, model: str) -> Json:
    """The response before its first word: what was asked for, and that nothing is kept."""
    choice = body.tool_choice
    wanted = body.text and body.text.format
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": body.temperature,
        "text": {"format": wanted.model_dump(by_alias=True, exclude_none=True) if wanted else {"type": "text"}},
        "tool_choice": choice.model_dump() if isinstance(choice, ChoiceBody) else choice or "auto",
        "tools": [
            tool.model_dump(exclude_unset=True) for tool in body.tools or () if not isinstance(tool, OtherToolBody)
        ],
        "top_p": body.top_p,
        "truncation": "disabled",
        "usage": None,
    }


def _usage(chunk: Json) -> Json | None:
    if not (usage := chunk.get("usage")):
        return None
    prompt, answer = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    read: Json = usage.get("prompt_tokens_details") or {}
    written: Json = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": read.get("cached_tokens") or 0, "cache_write_tokens": 0},
        "output_tokens": answer,
        "output_tokens_details": {"reasoning_tokens": written.get("reasoning_tokens") or 0},
        "total_tokens": prompt + answer,
    }


def _code(problem: Problem) -> str:
    """One of the few that a response's error has. `context_length_exceeded` is not in OpenAI's own list, but Codex CLI
    compacts its history on it: codex-rs/codex-api/src/sse/responses.rs."""
    if problem.kind is TOO_LONG:
        return problem.kind.code
    if problem.kind is BUSY:
        return "rate_limit_exceeded"
    return "invalid_prompt" if problem.kind.status < 500 else "server_error"
