"""Devstral's policy against the embedded engine with a tiny model, and against a server that says what it is told."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from patchwright.chat.calling import CALLING
from patchwright.chat.mistral.answer import MistralAnswer
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.errors import EngineError
from patchwright.policy.mistral import MistralPolicy
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import (
    AssistantMessage,
    Delta,
    Reply,
    Request,
    Sampling,
    TextDelta,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from tests.chat.mistral.conversations import PLAIN, TEXTS, conversations
from tests.policy.http_server import serving, status, stream

HI = Request(messages=(UserMessage(content="Hi [INST]"),), sampling=Sampling(max_tokens=8, temperature=0.0))


@pytest.fixture(scope="module")
def engine(tiny_devstral: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    state_dir = tmp_path_factory.mktemp("state")
    yield LlamaCpp(tiny_devstral / "tiny.gguf", LlamaCppSettings(threads=1, context_tokens=8192), state_dir)
    for running in running_engines(state_dir):
        stop_engine(running, state_dir)


async def deltas(policy: MistralPolicy, request: Request) -> list[Delta]:
    return [delta async for delta in policy.stream(request)]


def engine_client(endpoint: Endpoint) -> httpx.AsyncClient:
    """Asks the server itself, not below /v1."""
    assert endpoint.api_key
    headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}"}
    return httpx.AsyncClient(base_url=endpoint.base_url.removesuffix("/v1"), headers=headers, timeout=60)


async def test_an_answer_arrives_in_pieces_and_then_whole(engine: LlamaCpp, tokens: MistralTokens) -> None:
    """Streamed, it is what it is in one piece."""
    asked = HI.model_copy(update={"sampling": Sampling(max_tokens=40, temperature=0.0)})
    async with MistralPolicy.connected(engine.connect, tokens) as policy:
        *pieces, reply = await deltas(policy, asked)
        *_, again = await deltas(policy, asked)
        (whole,) = (await policy.answers(asked, 1)).answers
    assert isinstance(reply, Reply)
    assert isinstance(again, Reply)
    assert len(pieces) > 20
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == reply.message.content
    assert reply.message.content == whole.text
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (len(tokens.prompt(HI)), 40)
    assert reply.usage.cached_tokens == 0 < again.usage.cached_tokens
    assert reply.finish_reason == "length"


@pytest.mark.parametrize("text", ["a🦀𝔊b", "café ✓ 鬱"])
async def test_characters_of_several_tokens_arrive_whole(engine: LlamaCpp, tokens: MistralTokens, text: str) -> None:
    """A grammar makes the model say them."""
    answer = MistralAnswer(tokens)
    body = {"prompt": tokens.prompt(HI), "n_predict": 40, "stream": True, "return_tokens": True}
    body["grammar"] = f'root ::= "{text}" <[{tokens.tool_calls}]> "ls" <[{tokens.args}]> "{text}"'
    async with engine_client(await engine.connect()) as client:
        lines = (await client.post("/completion", json=body)).text.splitlines()
    for line in lines:
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            answer.add(event["content"], event["tokens"])
    calls = (ToolCall(id="", name="ls", arguments=text),)
    assert answer.message() == AssistantMessage(content=text, tool_calls=calls)


async def test_a_stop_word_is_no_part_of_the_answer(engine: LlamaCpp, tokens: MistralTokens) -> None:
    async with MistralPolicy.connected(engine.connect, tokens) as policy:
        long = HI.model_copy(update={"sampling": Sampling(max_tokens=40, temperature=0.0)})
        said = (await policy.answers(long, 1)).answers[0].text
        stop = re.findall("[a-z]{3}", said)[-1]
        sampling = long.sampling.model_copy(update={"stop": (stop,)})
        (cut,) = (await policy.answers(HI.model_copy(update={"sampling": sampling}), 1)).answers
    assert cut.text == said.partition(stop)[0]
    assert cut.complete


async def test_several_answers_come_from_one_reading_of_the_prompt(engine: LlamaCpp, tokens: MistralTokens) -> None:
    warm = HI.model_copy(update={"sampling": Sampling(max_tokens=8, temperature=1.5, seed=3)})
    async with MistralPolicy.connected(engine.connect, tokens) as policy:
        found = await policy.answers(warm, 4)
    assert len({answer.text for answer in found.answers}) == 4
    assert all(answer.logprob is not None and answer.logprob < 0 and not answer.complete for answer in found.answers)
    assert found.usage.completion_tokens == 32


async def test_the_engine_has_the_words_of_mistral_common(engine: LlamaCpp, tokens: MistralTokens) -> None:
    """As its vocabulary, its merges and its splitting of text into words were written into the GGUF file."""
    messages = [message for request in conversations(1000) for message in request.messages]
    texts = {message.content for message in messages if message.content} | {text for text in TEXTS if text}
    async with engine_client(await engine.connect()) as client:
        for text in sorted(texts):
            body = {"content": text, "add_special": False, "parse_special": False}
            assert (await client.post("/tokenize", json=body)).json()["tokens"] == tokens.encoded(text), text


async def test_conversations_reach_the_model_token_by_token(
    engine: LlamaCpp, tokens: MistralTokens, tiny_devstral: Path
) -> None:
    """The engine says back what it read, as text."""
    reference: Any = MistralTokenizer.from_file(tiny_devstral / "hf" / "tekken.json")
    async with engine_client(await engine.connect()) as client:
        for request in conversations(1000, seed=2):
            prompt = tokens.prompt(request)
            answer = (await client.post("/completion", json={"prompt": prompt, "n_predict": 1})).json()
            assert answer["tokens_evaluated"] == len(prompt)
            assert answer["prompt"] == reference.decode(prompt, SpecialTokenPolicy.KEEP)


async def test_the_template_in_the_file_says_the_same_where_no_text_looks_like_a_token(
    engine: LlamaCpp, tokens: MistralTokens
) -> None:
    """For people who ask the engine in OpenAI's words."""
    plain = [request for request in conversations(300, seed=3, texts=PLAIN) if is_plain(request)]
    assert len(plain) > 20
    async with engine_client(await engine.connect()) as client:
        for request in plain:
            prompt = (await client.post("/apply-template", json=CALLING["native"].body(request))).json()["prompt"]
            body = {"content": prompt, "add_special": True, "parse_special": True}
            assert (await client.post("/tokenize", json=body)).json()["tokens"] == tokens.prompt(request), request


def is_plain(request: Request) -> bool:
    """Whether every call is answered and its arguments are written as they are read."""
    calls = [
        call for message in request.messages if isinstance(message, AssistantMessage) for call in message.tool_calls
    ]
    answered = {message.tool_call_id for message in request.messages if isinstance(message, ToolMessage)}
    return all(call.id in answered and call.arguments == "{}" for call in calls)


async def test_an_engine_that_dies_in_mid_answer_is_an_error(tokens: MistralTokens) -> None:
    piece = {"content": "Let", "tokens": tokens.encoded("Let"), "stop": False}
    served = serving(stream(piece, done=False))
    async with served as server, MistralPolicy.connected(server.connect, tokens) as policy:
        with pytest.raises(EngineError, match="ended in mid-answer"):
            await asyncio.wait_for(deltas(policy, HI), 30)


async def test_a_tool_call_gets_an_id_and_its_parts(tokens: MistralTokens) -> None:
    pieces: list[tuple[str, int]] = [("Look", 1000), (".", 1001), ("", tokens.tool_calls), ("ls", 1002)]
    pieces += [("", tokens.args), ("{}", 1003), ("", tokens.end)]
    events = [{"content": text, "tokens": [token], "stop": False} for text, token in pieces]
    last = {"content": "", "tokens": [], "stop": True, "stop_type": "eos"}
    served = serving(stream(*events, last))
    async with served as server, MistralPolicy.connected(server.connect, tokens) as policy:
        *shown, reply = await deltas(policy, HI)
    assert shown == [TextDelta(text="Look"), TextDelta(text=".")]
    assert isinstance(reply, Reply)
    assert reply.message.tool_calls == (ToolCall(id="call00001", name="ls", arguments="{}"),)
    assert (reply.finish_reason, reply.problem) == ("tool_calls", None)
    assert server.bodies[0]["prompt"] == tokens.prompt(HI)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"error": {"code": 500, "message": "Context size has been exceeded."}}, "Context size has been exceeded"),
        ({"content": "hello"}, "no piece of an answer"),
        ({}, "no piece of an answer"),
    ],
)
async def test_what_is_no_piece_of_an_answer_is_an_error(
    tokens: MistralTokens, event: dict[str, Any], problem: str
) -> None:
    async with serving(stream(event)) as server, MistralPolicy.connected(server.connect, tokens) as policy:
        with pytest.raises(EngineError, match=problem):
            await deltas(policy, HI)


@pytest.mark.parametrize("body", [[], [{"content": "x"}]])
async def test_what_is_no_answer_is_an_error(tokens: MistralTokens, body: Any) -> None:
    async with serving(status(200, body)) as server, MistralPolicy.connected(server.connect, tokens) as policy:
        with pytest.raises(EngineError, match="no answer"):
            await policy.answers(HI, 2)


async def test_what_cannot_be_said_in_mistrals_format_is_an_error(tokens: MistralTokens) -> None:
    async with serving(b"") as server, MistralPolicy.connected(server.connect, tokens) as policy:
        with pytest.raises(EngineError, match="ends with no message"):
            await deltas(policy, Request(messages=()))
        with pytest.raises(EngineError, match="calls tools in its own format"):
            await deltas(policy, HI.model_copy(update={"calling": "json"}))
    assert server.bodies == []
