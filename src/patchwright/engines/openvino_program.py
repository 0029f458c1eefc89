"""OpenVINO GenAI behind OpenAI's protocol, run in its own environment. Imports nothing of ours.

The library batches, caches prefixes and holds answers to a schema; this asks it over HTTP. It reads no tool calls.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy
import openvino_genai as genai
import uvicorn
from openvino import Tensor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Body = dict[str, Any]
MOST_ANSWERS = 64
PIECE_CHARS = 2000
"""The tokenizer that is made of a GGUF file cuts what has more than 8192 tokens, without a word, whatever max_length it
is given (openvino-genai 2026.4.1). A letter has four tokens at most: one for each byte."""
_MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of a body that is not as OpenAI's protocol has it."""
BATCHED_TOKENS = 64
"""Of prompts, read in one step. The library's own choice is 256: a step takes four times as long with that."""
SHARE_OF_OTHERS = 0.02
"""How long the worker rests after a step, of the step's time: the library lets no other thread of Python run meanwhile,
and whoever is asked whether it is there has to answer."""
_DROPPED = "the engine gave this answer up: its cache is full (cache_gib says how large it is)"
_CUT = "\ufffd"
_WORD = re.compile(r" (?=[^\W\d_])")
_CONTROL_CHARS = 40
_PASSED_ON = ("top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "ignore_eos")


@dataclass(frozen=True)
class Kind:
    """How text stands in a whole answer, and in a piece of one."""

    whole: Callable[[str], Body]
    piece: Callable[[str], Body]


CHAT = Kind(
    whole=lambda text: {"message": {"role": "assistant", "content": text}},
    piece=lambda text: {"delta": {"content": text}},
)
TEXT = Kind(whole=lambda text: {"text": text}, piece=lambda text: {"text": text})


class BadRequest(Exception):
    """What the client asked for cannot be."""


class Dropped(Exception):
    """The library has given up an answer."""


@dataclass
class Written:
    """One answer, as it grows."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    reason: str | None = None
    _told_from: int = 0
    _told_to: int = 0

    def piece(self, tokenizer: Any) -> str:
        """The text that has come since this was asked last. A letter of several tokens is waited for."""
        before = tokenizer.decode(self.ids[self._told_from : self._told_to])
        now = tokenizer.decode(self.ids[self._told_from :])
        if now.endswith(_CUT) and self.reason is None:
            return ""
        self._told_from, self._told_to = self._told_to, len(self.ids)
        return now[len(before) :]


class Asked:
    """A request, and its outputs, which come from the worker's thread."""

    def __init__(self, ids: Any, config: Any) -> None:
        self.ids = ids
        self.config = config
        structured = config.structured_output_config
        self.schema = hashlib.sha256(structured.json_schema.encode()).digest() if structured else None
        """Its hash: those that were tried are kept for ever."""
        self.is_wanted = True
        self.handle: Any = None
        self._loop = asyncio.get_running_loop()
        self._outputs: asyncio.Queue[dict[int, Any] | Exception | None] = asyncio.Queue()

    def tell(self, outputs: dict[int, Any] | Exception | None) -> None:
        """What has come; None or an error is the end."""
        self._loop.call_soon_threadsafe(self._outputs.put_nowait, outputs)

    async def outputs(self) -> AsyncIterator[dict[int, Any]]:
        """Raises BadRequest and Dropped."""
        while (outputs := await self._outputs.get()) is not None:
            if isinstance(outputs, Exception):
                raise outputs
            yield outputs


class Worker:
    """Steps the pipeline in a thread as long as anything is asked.

    A schema that no answer can be held to makes a step fail, and with it all that the library works on. So one that
    comes for the first time is tried when nothing else is worked on.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._wanted = threading.Condition()
        self._waiting: deque[Asked] = deque()
        self._running: list[Asked] = []
        self._schemas: set[bytes | None] = {None}
        self._numbers = iter(range(1 << 62))
        threading.Thread(target=self._work, daemon=True).start()

    @contextlib.contextmanager
    def asked(self, ids: Any, config: Any) -> Iterator[Asked]:
        asked = Asked(ids, config)
        with self._wanted:
            self._waiting.append(asked)
            self._wanted.notify()
        try:
            yield asked
        finally:
            with self._wanted:
                asked.is_wanted = False
                if asked.handle:
                    asked.handle.cancel()

    def _work(self) -> None:
        try:
            while True:
                with self._wanted:
                    self._wanted.wait_for(lambda: self._waiting or self._running)
                    self._let_in()
                started = time.monotonic()
                self._step()
                time.sleep(SHARE_OF_OTHERS * (time.monotonic() - started))
        except Exception:  # whoever waits for an answer must not wait for ever: the engine is started anew
            traceback.print_exc()
            os._exit(1)

    def _let_in(self) -> None:
        while self._waiting and self._may_run(self._waiting[0]):
            asked = self._waiting.popleft()
            if asked.is_wanted:
                asked.handle = self._pipeline.add_request(next(self._numbers), asked.ids, asked.config)
                self._running.append(asked)

    def _may_run(self, asked: Asked) -> bool:
        """Beside others only where all have schemas that have been tried."""
        return not self._running or {asked.schema, *(each.schema for each in self._running)} <= self._schemas

    def _step(self) -> None:
        try:
            self._pipeline.step()
        except RuntimeError as error:
            if {asked.schema for asked in self._running} <= self._schemas:
                raise
            self._refuse(str(error).strip())
        self._schemas.update(asked.schema for asked in self._running)
        for asked in list(self._running):
            self._told(asked)

    def _refuse(self, reason: str) -> None:
        """It runs alone. The library lets go of it in a step that has nothing else to do."""
        asked = self._running.pop()
        asked.handle.cancel()
        self._pipeline.step()
        asked.tell(BadRequest(f"no answer can be held to this schema: {reason.rpartition(': ')[2]}"))

    def _told(self, asked: Asked) -> None:
        while asked.handle.can_read():
            asked.tell(asked.handle.read())
        status = asked.handle.get_status()
        if status != genai.GenerationStatus.RUNNING:
            asked.tell(Dropped(_DROPPED) if status == genai.GenerationStatus.IGNORED else None)
            self._running.remove(asked)


class Server:
    """The routes."""

    def __init__(self, pipeline: Any, model: str, context_tokens: int) -> None:
        self._tokenizer = pipeline.get_tokenizer()
        self._last_token = max(self._tokenizer.get_vocab().values())
        self._worker = Worker(pipeline)
        self._model = model
        self._context_tokens = context_tokens

    def app(self) -> Starlette:
        routes = [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/tokenize", self.tokenize, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.text, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={BadRequest: refused, Dropped: failed})

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(self, _: Request) -> Response:
        model = {"id": self._model, "object": "model", "owned_by": "openvino", "max_model_len": self._context_tokens}
        return JSONResponse({"object": "list", "data": [model]})

    async def tokenize(self, http: Request) -> Response:
        """As llama.cpp has it."""
        ids = self._encoded(str((await read(http)).get("content", "")))
        return JSONResponse({"tokens": ids.data[0].tolist() if ids.get_size() else []})

    async def chat(self, http: Request) -> Response:
        body = await read(http)
        ids = self._encoded(self._rendered(body))
        return await self._answered(http, body, ids, CHAT)

    async def text(self, http: Request) -> Response:
        body = await read(http)
        match body.get("prompt"):
            case str(prompt) if prompt:
                ids = self._encoded(prompt)
            case [int(), *_] as prompt if all(isinstance(each, int) for each in prompt):
                if not 0 <= min(prompt) <= max(prompt) <= self._last_token:
                    raise BadRequest(f"the model's tokens are from 0 to {self._last_token}")
                ids = Tensor(numpy.array([prompt], dtype=numpy.int64))
            case _:
                raise BadRequest("the prompt has to be a text, or tokens")
        return await self._answered(http, body, ids, TEXT)

    async def _answered(self, http: Request, body: Body, ids: Any, kind: Kind) -> Response:
        prompt_tokens = ids.get_shape()[1]
        try:
            config, copies = self._config(body, prompt_tokens)
        except _MISSHAPEN as error:
            raise BadRequest(f"a field of the request is not as it should be: {error}") from None
        if body.get("stream"):
            return StreamingResponse(self._events(body, ids, config, copies, kind), media_type="text/event-stream")
        answers = [Written() for _ in range(config.num_return_sequences)]
        gone = asyncio.create_task(hangs_up(http))
        with self._worker.asked(ids, config) as asked:
            reading = asyncio.create_task(self._read(asked, answers))
            await asyncio.wait({gone, reading}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if reading.done():
            reading.result()
        reading.cancel()
        choices = [
            self._choice(answer, body) | kind.whole(self._tokenizer.decode(answer.ids)) for answer in answers * copies
        ]
        numbered = [choice | {"index": number} for number, choice in enumerate(choices)]
        usage = used(prompt_tokens, answers * copies)
        return JSONResponse({"object": "completion", "model": self._model, "choices": numbered, "usage": usage})

    async def _read(self, asked: Asked, answers: list[Written]) -> None:
        async for _ in grown(asked, answers):
            pass

    async def _events(self, body: Body, ids: Any, config: Any, copies: int, kind: Kind) -> AsyncIterator[str]:
        answers = [Written() for _ in range(config.num_return_sequences)]
        try:
            with self._worker.asked(ids, config) as asked:
                async for number, begin in grown(asked, answers):
                    answer = answers[number]
                    choice = self._choice(answer, body, begin) | kind.piece(answer.piece(self._tokenizer))
                    for copy in range(copies):
                        yield self._event([choice | {"index": number + copy}])
        except (BadRequest, Dropped) as error:
            yield f"data: {json.dumps(described(error))}\n\n"
            return
        if (body.get("stream_options") or {}).get("include_usage"):
            yield self._event([], used(ids.get_shape()[1], answers * copies))
        yield "data: [DONE]\n\n"

    def _event(self, choices: list[Body], usage: Body | None = None) -> str:
        chunk = {"object": "chat.completion.chunk", "model": self._model, "choices": choices, "usage": usage}
        return f"data: {json.dumps(chunk)}\n\n"

    def _choice(self, answer: Written, body: Body, begin: int = 0) -> Body:
        """Without its text. `begin`: the first token that is told of."""
        choice: Body = {"finish_reason": answer.reason}
        if body.get("return_token_ids"):
            choice["token_ids"] = answer.ids[begin:]
        if body.get("logprobs"):
            pairs = zip(answer.ids[begin:], answer.logprobs[begin:], strict=True)
            told = [{"token": self._tokenizer.decode([id_]), "logprob": value} for id_, value in pairs]
            choice["logprobs"] = {"content": [each | {"top_logprobs": []} for each in told]}
        return choice

    def _encoded(self, text: str) -> Any:
        """[1, T]"""
        pieces = [self._tokenizer.encode(piece, add_special_tokens=False).input_ids.data for piece in cut(text)]
        return Tensor(numpy.concatenate(pieces, axis=1))

    def _rendered(self, body: Body) -> str:
        try:
            messages = [rendered(message) for message in body["messages"]]
            tools = body.get("tools") or None
            return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tools=tools)
        except (*_MISSHAPEN, RuntimeError) as error:
            raise BadRequest(f"the template cannot write this conversation: {error}") from None

    def _config(self, body: Body, prompt_tokens: int) -> tuple[Any, int]:
        """And how often each answer is given: the likeliest is the same each time."""
        room = self._context_tokens - prompt_tokens
        if room < 1:
            raise BadRequest(f"the prompt has {prompt_tokens} tokens, and the context {self._context_tokens}")
        answers = int(body.get("n") or 1)
        if not 1 <= answers <= MOST_ANSWERS:
            raise BadRequest(f"n is from 1 to {MOST_ANSWERS}")
        temperature = 1.0 if (given := body.get("temperature")) is None else float(given)
        config = genai.GenerationConfig()
        config.apply_chat_template = False
        config.max_new_tokens = min(int(body.get("max_completion_tokens") or body.get("max_tokens") or room), room)
        config.logprobs = int(bool(body.get("logprobs")))
        config.do_sample = temperature > 0
        if config.do_sample:
            config.temperature = temperature
            config.num_return_sequences = answers
            config.rng_seed = secrets.randbits(31) if body.get("seed") is None else int(body["seed"]) % (1 << 31)
        for name in _PASSED_ON:
            if body.get(name) is not None:
                setattr(config, name, body[name])
        stop = body.get("stop") or ()
        config.stop_strings = {stop} if isinstance(stop, str) else set(stop)
        if schema := schema_of(body.get("response_format") or {}):
            config.structured_output_config = genai.StructuredOutputConfig(json_schema=json.dumps(schema))
        try:
            config.validate()
        except RuntimeError as error:
            raise BadRequest(str(error)) from None
        return config, 1 if config.do_sample else answers


def cut(text: str, most_chars: int = PIECE_CHARS) -> Iterator[str]:
    """Pieces that the tokenizer reads as it would the whole: cut where a blank and a word begin, which today's
    vocabularies have in one token. Where there is none, before what may be a control token, or anywhere."""
    begin = 0
    while len(text) - begin > most_chars:
        piece = text[begin : begin + most_chars]
        words = [match.start() for match in _WORD.finditer(piece, 1)]
        end = words[-1] if words else piece.rfind("<", len(piece) - _CONTROL_CHARS)
        end = end if end > 0 else len(piece)
        yield text[begin : begin + end]
        begin += end
    yield text[begin:]


async def grown(asked: Asked, answers: list[Written]) -> AsyncIterator[tuple[int, int]]:
    """Which answer has grown, and where its new tokens begin."""
    places: dict[int, int] = {}
    async for outputs in asked.outputs():
        for sequence, output in sorted(outputs.items()):
            number = places.setdefault(sequence, len(places))
            answer, begin = answers[number], len(answers[number].ids)
            answer.ids += output.generated_ids
            answer.logprobs += output.generated_log_probs
            if output.finish_reason != genai.GenerationFinishReason.NONE:
                is_long = output.finish_reason == genai.GenerationFinishReason.LENGTH
                answer.reason = "length" if is_long else "stop"
            yield number, begin


async def read(http: Request) -> Body:
    try:
        body = await http.json()
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return body


async def hangs_up(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def refused(_: Request, error: Exception) -> Response:
    return JSONResponse(described(error), status_code=400)


def failed(_: Request, error: Exception) -> Response:
    return JSONResponse(described(error), status_code=503)


def described(error: Exception) -> Body:
    kind = "invalid_request_error" if isinstance(error, BadRequest) else "server_error"
    return {"error": {"message": str(error), "type": kind}}


def rendered(message: Body) -> Body:
    """As templates take it: text in one piece, arguments of calls as objects."""
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(part["text"] for part in content)
    calls = [
        call | {"function": call["function"] | {"arguments": json.loads(call["function"]["arguments"] or "{}")}}
        for call in message.get("tool_calls") or ()
    ]
    return message | {"content": content or ""} | ({"tool_calls": calls} if calls else {})


def schema_of(response_format: Body) -> Body | None:
    match response_format.get("type"):
        case "json_schema":
            return response_format["json_schema"].get("schema") or {"type": "object"}
        case "json_object":
            return {"type": "object"}
        case _:
            return None


def used(prompt_tokens: int, answers: list[Written]) -> Body:
    written = sum(len(answer.ids) for answer in answers)
    total = prompt_tokens + written
    return {"prompt_tokens": prompt_tokens, "completion_tokens": written, "total_tokens": total}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--name", required=True)
    parser.add_argument("--context-tokens", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--cache-gib", type=int, required=True)
    parser.add_argument("--uds", required=True)
    options = parser.parse_args()
    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = True
    scheduler.cache_size = options.cache_gib
    scheduler.max_num_seqs = options.slots
    scheduler.max_num_batched_tokens = BATCHED_TOKENS
    pipeline = genai.ContinuousBatchingPipeline(options.model, scheduler, "CPU", {"KV_CACHE_PRECISION": "u8"})
    server = Server(pipeline, options.name, options.context_tokens)
    uvicorn.run(server.app(), uds=options.uds, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
