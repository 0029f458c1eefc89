"""POST /v1/responses before the embedded engine with a tiny Devstral, asked by OpenAI's own client."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseInputParam
from pydantic import BaseModel, ConfigDict, Field

from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.policy.connection import Connection
from patchwright.serving.mistral_upstream import MistralUpstream
from tests.serving.served import gateway_for, served

PARAMETERS = {
    "type": "object",
    "properties": {"path": {"enum": ["a.py", "b.py"]}, "line": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["path", "line"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [
    {"type": "function", "name": name, "description": "x", "parameters": PARAMETERS, "strict": True}
    for name in ("open_file", "close_file")
]
CALLING: dict[str, Any] = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False}
HI: dict[str, Any] = {"model": "tiny", "input": "Hi", "temperature": 0, "max_output_tokens": 60}


@pytest.fixture(scope="module")
def engine(tiny_devstral: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    state_dir = tmp_path_factory.mktemp("state")
    yield LlamaCpp(tiny_devstral / "tiny.gguf", LlamaCppSettings(threads=1, context_tokens=4096), state_dir)
    for running in running_engines(state_dir):
        stop_engine(running, state_dir)


@asynccontextmanager
async def sdk(engine: LlamaCpp, tokens: MistralTokens) -> AsyncGenerator[AsyncOpenAI]:
    async with (
        Connection.opened(engine.connect) as connection,
        served(gateway_for(MistralUpstream(connection, tokens))) as client,
        AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0) as openai,
    ):
        yield openai


def said(response: Response) -> tuple[Any, ...]:
    calls = [(item.name, item.arguments) for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert response.usage
    return response.status, response.output_text, calls, response.usage.output_tokens


@pytest.mark.parametrize(
    "fields",
    [
        {},
        CALLING,
        CALLING | {"tool_choice": {"type": "function", "name": "close_file"}},
        CALLING | {"tool_choice": "none"},
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": PARAMETERS, "strict": True}}},
        {"text": {"format": {"type": "text"}}},
    ],
    ids=["text", "required", "named", "none", "schema", "plain"],
)
async def test_the_same_words_streamed_and_not(engine: LlamaCpp, tokens: MistralTokens, fields: dict[str, Any]) -> None:
    async with sdk(engine, tokens) as openai:
        whole = await openai.responses.create(**HI | fields)
        events = [event async for event in await openai.responses.create(**HI | fields, stream=True)]
    assert said(events[-1].response) == said(whole)
    texts = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert (texts, arguments) == (whole.output_text, "".join(call[1] for call in said(whole)[2]))
    assert len(events) > 6


async def test_a_call_is_made_answered_and_gone_on_from(engine: LlamaCpp, tokens: MistralTokens) -> None:
    """As an agent does: the output goes back as it came, with the result after it."""
    conversation: ResponseInputParam = [{"role": "user", "content": "Open it."}]
    async with sdk(engine, tokens) as openai:
        async with openai.responses.stream(**HI | CALLING | {"input": conversation}) as events:
            first = await events.get_final_response()
        (call,) = first.output
        assert isinstance(call, ResponseFunctionToolCall)
        assert set(json.loads(call.arguments)) == {"path", "line"}
        back: Any = [item.to_dict() for item in first.output]
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "print('hello')"}
        second = await openai.responses.create(**HI | CALLING | {"input": [*conversation, *back, result]})
        with pytest.raises(BadRequestError, match="send the whole conversation as input"):
            await openai.responses.create(**HI | {"previous_response_id": first.id})
    assert said(second)[0] == "completed"
    assert first.usage
    assert second.usage
    assert second.usage.input_tokens > first.usage.input_tokens + 10
    assert second.usage.input_tokens_details.cached_tokens > 0


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: Literal["a.py", "b.py"]
    line: int = Field(ge=0, le=9)


async def test_a_schema_is_kept_to_and_a_bad_one_refused(engine: LlamaCpp, tokens: MistralTokens) -> None:
    bad: Any = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "wat"}}}
    async with sdk(engine, tokens) as openai:
        parsed = await openai.responses.parse(**HI, text_format=Place)
        with pytest.raises(BadRequestError, match="cannot be held to"):
            await openai.responses.create(**HI | {"text": bad})
    assert isinstance(parsed.output_parsed, Place)


async def test_an_answer_that_ends_at_its_limit_is_incomplete_and_has_no_calls(
    engine: LlamaCpp, tokens: MistralTokens
) -> None:
    async with sdk(engine, tokens) as openai:
        text = await openai.responses.create(**HI | {"max_output_tokens": 3})
        call = await openai.responses.create(**HI | CALLING | {"max_output_tokens": 6})
        *_, last = [
            e async for e in await openai.responses.create(**HI | CALLING | {"max_output_tokens": 6}, stream=True)
        ]
    assert text.incomplete_details
    assert said(text) == ("incomplete", text.output_text, [], 3)
    assert text.incomplete_details.reason == "max_output_tokens"
    assert (call.status, call.output) == ("incomplete", [])
    assert last.type == "response.incomplete"


async def test_the_engine_killed_in_mid_answer_is_a_failed_response(
    tiny_devstral: Path, tokens: MistralTokens, tmp_path: Path
) -> None:
    engine = LlamaCpp(tiny_devstral / "tiny.gguf", LlamaCppSettings(threads=1, context_tokens=4096), tmp_path)
    try:
        async with sdk(engine, tokens) as openai:
            long = HI | {"max_output_tokens": 3900, "temperature": 1}
            events = await openai.responses.create(**long, stream=True)
            async for event in events:
                if event.type == "response.output_text.delta":
                    break
            (process,) = running_engines(tmp_path)
            psutil.Process(process.pid).kill()
            *_, error, failed = [event async for event in events]
            assert (error.type, error.code, failed.type) == ("error", "engine_unavailable", "response.failed")
            assert failed.response.error.code == "server_error"
            again = await openai.responses.create(**HI | {"max_output_tokens": 2})
            assert said(again)[3] == 2
    finally:
        for each in running_engines(tmp_path):
            stop_engine(each, tmp_path)
