"""An engine that renders conversations and reads calls by itself: its own chat completions, passed on."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress

from pydantic import TypeAdapter, ValidationError

from patchwright.chat.calls import wire_call
from patchwright.chat.mistral.normal import chat_completion
from patchwright.errors import ConversationError, EngineError
from patchwright.policy.connection import Connection, EngineBusy, EngineFailed, EngineRefused
from patchwright.policy.dialect import in_mistrals_dialect
from patchwright.schema.messages import Json, ToolCall
from patchwright.serving import spelt_calls
from patchwright.serving.body import ChatBody
from patchwright.serving.conversation import is_plain, request_of
from patchwright.serving.forced_calls import as_calls, as_json
from patchwright.serving.problems import BUSY, ENGINE, INVALID, NO_MODEL, TOO_LONG, UNAVAILABLE, Problem

_CHAT = "/v1/chat/completions"
_TEXT = "/v1/completions"
_DONE = "[DONE]"
_NO_ROOM = "Context size has been exceeded"
"""What llama.cpp says when conversations that share a window do not fit into it together."""
_NO_WINDOW = re.compile(r"context[ _](length|size|window)|exceeds? the (available )?context", re.IGNORECASE)
"""What llama.cpp, vLLM and others say of a conversation that is too long."""
RETRY_S = 10.0
_CLIENTS_FAULT = ("is not supported", "Failed to parse", "Jinja Exception")
"""In what llama.cpp answers with 500: pictures that the model cannot see, messages that its template cannot write or
refuses."""
_OBJECT: TypeAdapter[Json] = TypeAdapter(Json)


class OpenAIUpstream:
    """llama.cpp for all models but Mistral's, vLLM, and any other endpoint."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.model = connection.endpoint.model

    @property
    def context_tokens(self) -> int | None:
        """As the endpoint last said: one that is found again may have another window."""
        return self._connection.endpoint.context_tokens

    @property
    def adapters(self) -> tuple[str, ...]:
        return self._connection.endpoint.adapters

    async def chat(self, body: ChatBody) -> AsyncGenerator[Json]:
        asked = body.model_dump(exclude_unset=True, by_alias=True) | {"messages": self._messages(body)}
        forced = body.must_call and self._connection.endpoint.tokenizes
        chunks = as_calls(self._chunks(_CHAT, asked | as_json(body))) if forced else self._chunks(_CHAT, asked)
        if self._connection.endpoint.rules != "any" and body.tools:
            chunks = spelt_calls.refused(chunks, [tool.function.name for tool in body.tools])
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def completion(self, body: Json) -> AsyncGenerator[Json]:
        async with aclosing(self._chunks(_TEXT, body)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def ready(self) -> bool:
        return await is_ready(self._connection)

    def _messages(self, body: ChatBody) -> list[Json]:
        """As the endpoint can write them down. What cannot be put right goes as it is: it may know what to do."""
        rules = self._connection.endpoint.rules
        if rules != "any" and is_plain(body):
            with suppress(ConversationError):
                return chat_completion(request_of(body), alternating=rules == "alternating")["messages"]
        messages: list[Json] = body.model_dump(exclude_unset=True, include={"messages"})["messages"]
        for message in messages:
            if calls := message.get("tool_calls"):
                message["tool_calls"] = [call | wire_call(_call(call)) for call in calls]
        return messages

    async def _chunks(self, route: str, body: Json) -> AsyncGenerator[Json]:
        body = body | {"model": self.model} | choosing(self._connection, body.get("model"))
        numbers = _CallNumbers()
        try:
            async with AsyncExitStack() as stack:
                async for data in await self._asked(stack, route, body):
                    if data == _DONE:
                        return
                    yield numbers.given_to(_chunk(data))
        except EngineError as error:
            raise problem_of(error) from None
        raise Problem(ENGINE, "the engine ended its answer in the middle")

    async def _asked(self, stack: AsyncExitStack, route: str, body: Json) -> AsyncIterator[str]:
        """The data of a stream's events, also where the endpoint answers only as a whole."""
        endpoint = self._connection.endpoint
        streaming = {"stream": True, "stream_options": {"include_usage": True}}
        asked = {name: value for name, value in body.items() if name not in streaming}
        if endpoint.streams:
            asked |= streaming
        if endpoint.dialect == "mistral":
            asked = in_mistrals_dialect(asked)
        if endpoint.streams:
            return await self._connection.events(stack, route, asked)
        return _as_events(await self._connection.post(route, asked))


class _CallNumbers:
    """Of the calls in an answer, for endpoints that leave the index out: a piece with a new id begins a new call."""

    def __init__(self) -> None:
        self._ids: dict[int, list[str]] = {}
        """By choice, of the calls that have begun without an index."""

    def given_to(self, chunk: Json) -> Json:
        """The chunk, changed in place."""
        for choice in chunk.get("choices") or ():
            delta: Json = choice.get("delta") or {}
            for piece in delta.get("tool_calls") or ():
                if piece.get("index") is None:
                    piece["index"] = self._number(choice.get("index", 0), piece.get("id") or "")
        return chunk

    def _number(self, choice: int, call_id: str) -> int:
        ids = self._ids.setdefault(choice, [])
        if not ids or call_id not in {"", ids[-1]}:
            ids.append(call_id)
        return len(ids) - 1


def _call(call: Json) -> ToolCall:
    return ToolCall(id=call["id"], name=call["function"]["name"], arguments=call["function"].get("arguments", ""))


def choosing(connection: Connection, model: str | None) -> Json:
    """What chooses the adapter of this name, or none. Raises Problem when it was unloaded while the request waited."""
    endpoint = connection.endpoint
    if model and model not in {endpoint.model, *endpoint.adapters}:
        raise Problem(NO_MODEL, f"no model {model} is served here any more", param="model")
    return endpoint.choosing(model)


async def is_ready(connection: Connection) -> bool:
    try:
        await connection.get("/v1/models")
    except EngineError:
        return False
    return True


def problem_of(error: EngineError) -> Problem:
    """What the engine's failure is to a client."""
    match error:
        case _ if _NO_ROOM in str(error):
            message = "the engine's memory is taken by other conversations; try again later"
            return Problem(BUSY, message, retry_after_s=RETRY_S)
        case EngineRefused(status=400) if _NO_WINDOW.search(error.reason):
            return Problem(TOO_LONG, str(error))
        case EngineRefused(status=status) if 400 <= status < 500 and status not in {401, 403}:
            return Problem(INVALID, str(error))
        case EngineRefused() if any(words in str(error) for words in _CLIENTS_FAULT):
            return Problem(INVALID, str(error))
        case EngineBusy(status=429):
            return Problem(BUSY, str(error), retry_after_s=error.retry_after_s or RETRY_S)
        case EngineRefused() | EngineFailed() | EngineBusy():
            return Problem(ENGINE, str(error))
        case _:
            return Problem(UNAVAILABLE, str(error))


async def _as_events(answer: bytes) -> AsyncIterator[str]:
    whole = _chunk(answer.decode(errors="replace"))
    for choice in whole.get("choices") or ():
        message: Json = choice.pop("message", None) or {}
        calls = [{"index": number} | call for number, call in enumerate(message.get("tool_calls") or ())]
        delta = message | {"tool_calls": calls} if calls else message
        yield json.dumps({"choices": [choice | {"delta": delta}]})
    yield json.dumps({"choices": [], "usage": whole.get("usage")})
    yield _DONE


def _chunk(data: str) -> Json:
    try:
        chunk = _OBJECT.validate_json(data)
    except ValidationError:
        raise Problem(ENGINE, f"the engine sent what is no chunk: {data[:200]!r}") from None
    if error := chunk.get("error"):
        raise problem_of(EngineFailed(f"the engine failed in mid-answer: {json.dumps(error)}"))
    return chunk
