"""What each engine can do, from what ran: python -m benchmarks.engine_matrix RESULTS.json [--run ENGINE:FORMAT …]

Makes a tiny model of Devstral's architecture and tokenizer that answers every question with the same tool call, runs it
on each engine that `patchwright engine install` has installed, asks for one thing after another, and notes what came.
Each run is added to RESULTS.json; what is in there is printed as a table at the end.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from tests.models.checkpoint.random_adapter import write_adapter

from patchwright.chat.calls import wire_tool
from patchwright.chat.mistral.template import chat_template
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.config import load_settings
from patchwright.engines.adapters import NamedAdapter
from patchwright.engines.base import Engine
from patchwright.engines.installation import Installation
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.mistral_inference import MistralInference
from patchwright.engines.openvino import OpenVino, OpenVinoSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.engines.transformers import Transformers, TransformersSettings
from patchwright.engines.vllm import Vllm, VllmSettings
from patchwright.errors import EngineError
from patchwright.models.checkpoint.convert import convert
from patchwright.models.checkpoint.tiny import scripted_checkpoint, tiny_decoder
from patchwright.models.tokenizer import devstrals_tekken_file
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Json, Request, Sampling, SystemMessage, ToolSpec, UserMessage

Outcome = dict[str, str]
"""For each column, what came: "yes", or "no" and why."""

RUNS = (
    "llama.cpp:gguf",
    "vllm:mistral",
    "vllm:hf",
    "vllm:two",
    "transformers:hf",
    "openvino:q8_0",
    "mistral-inference:mistral",
)
LOADS = {
    "mistral": "Mistral's format",
    "hf": "Hugging Face's",
    "gguf": "GGUF",
    "q8_0": "GGUF",
    "two": "two processes",
}
ASKED = (
    *("ids equal the reference", "tool call parsed", "tool call streamed", "tool call forced", "json_schema"),
    *("logprobs", "n > 1", "prefix cache", "LoRA"),
)
CONTEXT_TOKENS = 4096
DECODER = tiny_decoder(width=256, layers=2)
ADAPTER = "tuned"
TOOL = ToolSpec(
    name="add",
    description="Adds.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
)
ARGUMENTS = '{"a": 1}'
QUESTION = Request(
    messages=(SystemMessage(content="You add."), UserMessage(content="Add [INST] one </s> to it.")),
    tools=(TOOL,),
    sampling=Sampling(max_tokens=20),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--run", nargs="*", choices=RUNS, default=list(RUNS))
    arguments = parser.parse_args()
    results: dict[str, Outcome] = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    with tempfile.TemporaryDirectory() as directory:
        if arguments.run:
            tokens = _write_models(Path(directory))
            for run in arguments.run:
                results[run] = asyncio.run(_ran(run, Path(directory), tokens))
                print(run, json.dumps(results[run]), flush=True)
                arguments.results.write_text(json.dumps(results, indent=2))
    _print_table(results)


def _write_models(directory: Path) -> MistralTokens:
    tekken = devstrals_tekken_file(load_settings().data_dir / "tokenizers")
    tokens = MistralTokens(tekken)
    answer = [tokens.tool_calls, *tokens.encoded(TOOL.name), tokens.args, *tokens.encoded(ARGUMENTS), tokens.end]
    script = [tokens.prompt(QUESTION)[-1], *answer]
    checkpoint = scripted_checkpoint(DECODER, script, seed=0)
    convert(checkpoint, directory / "mistral", "mistral", "bf16", chat_template=None)
    convert(checkpoint, directory / "hf", "hf", "bf16", chat_template=None)
    for number_type in ("bf16", "q8_0"):  # OpenVINO GenAI reads no bf16
        convert(checkpoint, directory / f"{number_type}.gguf", "gguf", number_type, chat_template=chat_template())
    write_adapter(directory / ADAPTER, seed=0, decoder=DECODER)
    return tokens


async def _ran(run: str, directory: Path, tokens: MistralTokens) -> Outcome:
    name, _, form = run.partition(":")
    if name == "mistral-inference":
        return await _generated(directory / form, tokens)
    state_dir = directory / "state"
    try:
        endpoint = await _engine(name, form, directory, state_dir).connect()
    except EngineError as error:
        return {LOADS[form]: f"no: {error}"}
    try:
        return {LOADS[form]: "yes"} | await _asked(endpoint, tokens)
    finally:
        for engine in running_engines(state_dir):
            stop_engine(engine, state_dir)


async def _generated(weights: Path, tokens: MistralTokens) -> Outcome:
    """mistral-inference serves nobody: it is given the reference's tokens, and its own are read."""
    installation = Installation(load_settings().data_dir / "engines", "mistral-inference")
    try:
        engine = MistralInference(weights, installation)
        said = await engine.generate(tokens.prompt(QUESTION), end=tokens.end, max_tokens=20)
    except EngineError as error:
        return {LOADS["mistral"]: f"no: {error}"}
    asked = dict.fromkeys(ASKED, "no: it does not serve")
    call = tokens.decoded(said.tokens)
    parsed = "in its tokens" if call == f"[TOOL_CALLS]{TOOL.name}[ARGS]{ARGUMENTS}" else f"no: {call!r}"
    return {LOADS["mistral"]: "yes"} | asked | {"ids equal the reference": "yes, given", "tool call parsed": parsed}


def _engine(name: str, form: str, directory: Path, state_dir: Path) -> Engine:
    path = directory / {"gguf": "bf16.gguf", "q8_0": "q8_0.gguf", "two": "mistral"}.get(form, form)
    if name == "llama.cpp":
        adapters = (NamedAdapter(name=ADAPTER, path=directory / ADAPTER),)
        settings = LlamaCppSettings(context_tokens=CONTEXT_TOKENS, adapters=adapters)
        return LlamaCpp(path, settings, state_dir, model_name="tiny")
    root = load_settings().data_dir / "engines"
    if name == "openvino":
        settings = OpenVinoSettings(context_tokens=CONTEXT_TOKENS)
        return OpenVino(path, settings, state_dir, Installation(root, "openvino"), "tiny")
    if name == "transformers":
        return Transformers(path, TransformersSettings(), state_dir, Installation(root, "transformers"), "tiny")
    settings = VllmSettings(context_tokens=CONTEXT_TOKENS, slots=4, tensor_parallel=2 if form == "two" else 1)
    return Vllm(path, settings, state_dir, Installation(root, "vllm"), "tiny")


async def _asked(endpoint: Endpoint, tokens: MistralTokens) -> Outcome:
    assert endpoint.api_key
    # A connection for each question: a server that is slow may close a kept one just when it is used again.
    headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}", "Connection": "close"}
    async with httpx.AsyncClient(base_url=endpoint.base_url, headers=headers, timeout=120, trust_env=False) as client:
        asking = Asking(client, endpoint, tokens)
        asked: tuple[Callable[[], Awaitable[str]], ...] = (
            *(asking.ids, asking.parsed, asking.streamed, asking.forced, asking.schema),
            *(asking.logprobs, asking.several, asking.cached, asking.adapted),
        )
        return {column: await _noted(ask) for column, ask in zip(ASKED, asked, strict=True)}


async def _noted(ask: Callable[[], Awaitable[str]]) -> str:
    try:
        return await ask()
    except httpx.HTTPStatusError as error:
        return f"no: {error.response.status_code} {' '.join(error.response.text.split())[:120]}"
    except httpx.HTTPError as error:
        return f"no: {error or type(error).__name__}"
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return f"no: the answer has none ({error})"


class Asking:
    """One question for each column; the answer is "yes", or "no" and what came instead."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint, tokens: MistralTokens) -> None:
        self._client = client
        self._model = endpoint.model
        self._adapters = endpoint.adapters
        self._tokens = tokens

    async def ids(self) -> str:
        """The ids where the server tells them, otherwise how many there are."""
        reference = self._tokens.prompt(QUESTION)
        answer = await self._answer(return_token_ids=True)
        if found := answer.get("prompt_token_ids"):
            return "yes" if found == reference else f"no: it reads {len(found)} ids, the reference {len(reference)}"
        count = answer["usage"]["prompt_tokens"]
        if count == len(reference):
            return "as many (it does not show them)"
        return f"no: it reads {count} ids, the reference {len(reference)}"

    async def parsed(self) -> str:
        return _judged(_call(await self._answer()))

    async def streamed(self) -> str:
        pieces: list[str] = []
        body = _body(self._model) | {"stream": True}
        async with self._client.stream("POST", "/chat/completions", json=body) as response:
            if response.is_error:
                return f"no: {response.status_code}"
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    pieces += _call_pieces(json.loads(line.removeprefix("data: ")))
        return _judged((pieces[0], "".join(pieces[1:]))) if pieces else "no: none came"

    async def forced(self) -> str:
        """A tool that the model would not call by itself."""
        other = wire_tool(TOOL.model_copy(update={"name": "subtract"}))
        choice = {"type": "function", "function": {"name": "subtract"}}
        answer = await self._answer(tools=[wire_tool(TOOL), other], tool_choice=choice, max_tokens=60)
        name = _call(answer)[0]
        return "yes" if name == "subtract" else f"no: it calls {name}, not what was named"

    async def schema(self) -> str:
        """One word: where any blank may stand, a model that prefers nothing writes blanks for ever."""
        form = {"type": "json_schema", "json_schema": {"name": "said", "schema": {"enum": ["yes"]}}}
        answer = await self._answer(tools=None, response_format=form)
        content = answer["choices"][0]["message"]["content"]
        return "yes" if content.strip() == '"yes"' else f"no: {content!r}"

    async def logprobs(self) -> str:
        answer = await self._answer(tools=None, logprobs=True)
        return "yes" if answer["choices"][0]["logprobs"]["content"] else "no: none came"

    async def several(self) -> str:
        count = len((await self._answer(n=3, temperature=0.5))["choices"])
        return "yes" if count == 3 else f"no: {count} came"

    async def cached(self) -> str:
        messages = [{"role": "user", "content": "Count the words of this text. " * 40}]
        await self._answer(messages=messages)
        usage: dict[str, Any] = (await self._answer(messages=messages))["usage"]
        details: dict[str, int] = usage.get("prompt_tokens_details") or {}
        cached = details.get("cached_tokens", 0)
        return "yes" if cached > usage["prompt_tokens"] / 2 else f"no: {cached} of {usage['prompt_tokens']} tokens"

    async def adapted(self) -> str:
        """Whether a request that names the adapter gets another answer than one that names the model."""
        if ADAPTER not in self._adapters:
            return "not run"
        plain, adapted = await self._answer(), await self._answer(model=ADAPTER)
        same = plain["choices"][0]["message"] == adapted["choices"][0]["message"]
        return "no: it answers as without" if same else "yes"

    async def _answer(self, **options: Any) -> dict[str, Any]:
        body = {name: value for name, value in (_body(self._model) | options).items() if value is not None}
        response = await self._client.post("/chat/completions", json=body)
        if response.is_error and "return_token_ids" in body:
            return await self._answer(**options | {"return_token_ids": None})
        return response.raise_for_status().json()


def _body(model: str) -> Json:
    messages = [message.model_dump(include={"role", "content"}) for message in QUESTION.messages]
    tools = [wire_tool(tool) for tool in QUESTION.tools]
    return {"model": model, "messages": messages, "tools": tools, "temperature": 0, "max_tokens": 20}


def _call(answer: dict[str, Any]) -> tuple[str, str]:
    call = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    return call["name"], call["arguments"]


def _call_pieces(chunk: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for choice in chunk["choices"]:
        for call in choice["delta"].get("tool_calls") or ():
            function = call["function"]
            found += [piece for piece in (function.get("name"), function.get("arguments")) if piece]
    return found


def _judged(call: tuple[str, str]) -> str:
    name, arguments = call
    right = name == TOOL.name and json.loads(arguments) == json.loads(ARGUMENTS)
    return "yes" if right else f"no: {name}({arguments})"


def _print_table(results: dict[str, Outcome]) -> None:
    engines = list(dict.fromkeys(run.partition(":")[0] for run in results))
    print("| | " + " | ".join(engines) + " |")
    print("|---" * (len(engines) + 1) + "|")
    for column in (*dict.fromkeys(LOADS.values()), *ASKED):
        print(f"| {column} | " + " | ".join(_cell(results, engine, column) for engine in engines) + " |")


def _cell(results: dict[str, Outcome], engine: str, column: str) -> str:
    """The same for each of an engine's runs, or all that came."""
    mine = [outcome for run, outcome in results.items() if run.startswith(f"{engine}:")]
    return "; ".join(dict.fromkeys(outcome[column] for outcome in mine if column in outcome)) or "not run"


if __name__ == "__main__":
    main()
