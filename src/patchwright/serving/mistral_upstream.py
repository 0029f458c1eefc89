"""Devstral on the embedded engine: conversations written in Mistral's tokens, answers read from them.

A grammar over tokens holds calls to the tools there are and their schemas, so that none can be malformed.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import reduce

from patchwright.chat.mistral.answer import MistralAnswer
from patchwright.chat.mistral.grammar import Answering, grammar
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.errors import ConversationError, EngineError
from patchwright.policy.connection import Connection
from patchwright.policy.pieces import ROUTE, Piece, read_piece
from patchwright.schema.messages import AssistantMessage, Json, Request, ToolSpec, Usage
from patchwright.serving.body import ChatBody, PlainFormat, SchemaFormat
from patchwright.serving.chunks import chunk, usage_chunk
from patchwright.serving.conversation import request_of
from patchwright.serving.openai_upstream import OpenAIUpstream, choosing, is_ready, problem_of
from patchwright.serving.problems import INVALID, TOO_LONG, Problem
from patchwright.serving.stops import Stops

_ANY_OBJECT: Json = {"type": "object"}
_PASSED_ON = ("frequency_penalty", "presence_penalty", "top_k", "min_p", "repeat_penalty", "id_slot")


class MistralUpstream:
    """Speaks to llama.cpp's POST /completion."""

    def __init__(self, connection: Connection, tokens: MistralTokens) -> None:
        self._connection = connection
        self._tokens = tokens
        self._text = OpenAIUpstream(connection)
        self.model = connection.endpoint.model

    @property
    def context_tokens(self) -> int | None:
        return self._text.context_tokens

    @property
    def adapters(self) -> tuple[str, ...]:
        return self._text.adapters

    async def chat(self, body: ChatBody) -> AsyncGenerator[Json]:
        asked = await asyncio.to_thread(self._asked, body)
        own_stops = () if "stop" in asked else body.stops
        choices = [_Choice(self._tokens, body, own_stops) for _ in range(body.answers)]
        usages = [Usage() for _ in choices]
        try:
            async with AsyncExitStack() as stack:
                async for data in await self._connection.events(stack, ROUTE, asked):
                    piece = read_piece(data)
                    choice = choices[piece.index]
                    if choice.over:
                        continue
                    for each in choice.add(piece):
                        yield each
                    if choice.over:
                        usages[piece.index] = piece.usage
                    if all(choice.over for choice in choices):
                        break
        except EngineError as error:
            raise problem_of(error) from None
        yield usage_chunk(reduce(_together, usages))

    async def completion(self, body: Json) -> AsyncGenerator[Json]:
        async with aclosing(self._text.completion(body)) as chunks:
            async for each in chunks:
                yield each

    async def ready(self) -> bool:
        return await is_ready(self._connection)

    def _asked(self, body: ChatBody) -> Json:
        request = request_of(body)
        answering = answering_of(body, request)
        prompt = self._prompt(request)
        try:
            rules = grammar(answering, self._tokens)
        except ConversationError as error:
            raise Problem(INVALID, str(error)) from None
        asked = choosing(self._connection, body.model)
        asked |= {"prompt": prompt, "return_tokens": True, "stream": True, "n_cmpl": body.answers}
        # Of an answer that may hold calls, the text alone is to be stopped: see `Stops`.
        kept = {"max_tokens", "stop"} if answering.tools else {"max_tokens"}
        asked |= request.sampling.model_dump(exclude_none=True, exclude=kept)
        asked |= body.model_dump(include=set(_PASSED_ON), exclude_none=True)
        if (limit := self._limit(body, len(prompt))) is not None:
            asked["n_predict"] = limit
        if body.logprobs:
            asked["n_probs"] = max(1, body.top_logprobs or 0)
        if rules:
            asked["grammar"] = rules
        if answering.tools and body.stops:
            asked["timings_per_token"] = True  # for the usage of an answer that is ended before llama.cpp does
        if not answering.tools:
            asked["logit_bias"] = [[self._tokens.tool_calls, False]]
        return asked

    def _limit(self, body: ChatBody, prompt_tokens: int) -> int | None:
        """For each answer: together they have what the prompt leaves of the window."""
        if self.context_tokens is None:
            return body.limit_tokens
        room = max(1, (self.context_tokens - prompt_tokens) // body.answers)
        return min(body.limit_tokens or room, room)

    def _prompt(self, request: Request) -> list[int]:
        try:
            prompt = self._tokens.prompt(request)
        except ConversationError as error:
            raise Problem(INVALID, str(error), param="messages") from None
        window = self.context_tokens
        if window is not None and len(prompt) >= window:
            raise Problem(
                TOO_LONG,
                f"the conversation has {len(prompt)} tokens, and the window {window}, the answer included",
                param="messages",
            )
        return prompt


def answering_of(body: ChatBody, request: Request) -> Answering:
    """What the body allows as an answer."""
    named = body.named_tool
    tools: tuple[ToolSpec, ...] = () if body.tool_choice == "none" else request.tools
    schema: Json | None = None
    match body.response_format:
        case SchemaFormat(json_schema=wanted):
            schema = dict(wanted.schema_)
        case PlainFormat(type="json_object"):
            schema = _ANY_OBJECT
        case _:
            pass
    return Answering(
        tools=[tool for tool in tools if named in {None, tool.name}],
        required=body.must_call,
        parallel=body.parallel_tool_calls is not False and named is None,
        schema=schema,
    )


class _Choice:
    """One of the answers, piece by piece, as chunks."""

    def __init__(self, tokens: MistralTokens, body: ChatBody, stops: Sequence[str]) -> None:
        self.over = False
        self._answer = MistralAnswer(tokens)
        self._stops = Stops(stops)
        self._logprobs = bool(body.logprobs)
        self._top = body.top_logprobs or 0
        self._calls_begun = 0
        self._arguments_sent = 0
        self._begun = False

    def add(self, piece: Piece) -> Iterator[Json]:
        if not self._begun:
            self._begun = True
            yield chunk({"role": "assistant", "content": ""}, index=piece.index)
        logprobs = self._logprobs_of(piece)
        text = self._stops.add(self._answer.add(piece.content, piece.tokens))
        message = self._answer.message()
        if message.tool_calls or piece.stop:
            text += self._stops.rest()
        if text or logprobs:
            yield chunk({"content": text} if text else {}, index=piece.index, logprobs=logprobs)
        if self._stops.met:
            self.over = True
            yield chunk({}, index=piece.index, finish_reason="stop")
            return
        for delta in self._call_deltas(message, whole=piece.stop):
            yield chunk({"tool_calls": [delta]}, index=piece.index)
        if piece.stop:
            self.over = True
            reason = piece.finish_reason(called=bool(message.tool_calls))
            yield chunk({}, index=piece.index, finish_reason=reason)

    def _call_deltas(self, message: AssistantMessage, *, whole: bool) -> Iterator[Json]:
        """A call is told of when its name is complete: with the first of its arguments, or when another follows."""
        calls = message.tool_calls
        for number in range(max(0, self._calls_begun - 1), len(calls)):
            call, last = calls[number], number == len(calls) - 1
            if last and not call.arguments and not whole:
                return
            if number == self._calls_begun:
                self._calls_begun, self._arguments_sent = number + 1, 0
                function = {"name": call.name, "arguments": ""}
                yield {"index": number, "id": _id(number), "type": "function", "function": function}
            if rest := call.arguments[self._arguments_sent :]:
                self._arguments_sent += len(rest)
                yield {"index": number, "function": {"arguments": rest}}

    def _logprobs_of(self, piece: Piece) -> Json | None:
        if not self._logprobs or not piece.completion_probabilities:
            return None
        content = [
            each.model_dump(exclude={"top_logprobs"})
            | {"top_logprobs": [other.model_dump() for other in each.top_logprobs[: self._top]]}
            for each in piece.completion_probabilities
        ]
        return {"content": content}


def _together(one: Usage, other: Usage) -> Usage:
    """Of answers to one prompt: it was read once, and llama.cpp counts it in each."""
    return Usage(
        prompt_tokens=max(one.prompt_tokens, other.prompt_tokens),
        cached_tokens=max(one.cached_tokens, other.cached_tokens),
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )


def _id(number: int) -> str:
    """Nine letters and digits, as Mistral's own ids have."""
    return f"{secrets.token_hex(4)}{number % 10}"
