"""Whether engines read the reference's tokens: python -m benchmarks.token_ids [--count N] [--engine NAME …]

Draws conversations of the shapes that agents make (tools, parallel calls, unicode, code, text that looks like control
tokens, empty results, stops and denials), writes each as mistral-common does, and asks an engine with a tiny model of
Devstral's architecture what it reads of it: as OpenAI's clients send it, and as Patchwright does. llama.cpp says back
what it read as text; vLLM says the ids.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from tests.chat.mistral.conversations import conversations

from patchwright.chat import native_calling
from patchwright.chat.mistral.normal import chat_completion
from patchwright.chat.mistral.template import chat_template
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.config import load_settings
from patchwright.engines.base import Engine
from patchwright.engines.installation import Installation
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.engines.vllm import Vllm, VllmSettings
from patchwright.models.checkpoint.convert import convert
from patchwright.models.checkpoint.tiny import random_checkpoint, tiny_decoder
from patchwright.models.tokenizer import devstrals_tekken_file
from patchwright.schema.messages import Request

CONTEXT_TOKENS = 16384
AT_ONCE = 8
MOST_REASONS, REASON_CHARS = 5, 300
ONE = {"max_tokens": 1, "temperature": 0}

Reads = Callable[[httpx.AsyncClient, Request], Awaitable[str]]
"""Same, other, or why it was refused."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--engine", nargs="*", choices=("llama.cpp", "vllm"), default=["llama.cpp", "vllm"])
    arguments = parser.parse_args()
    settings = load_settings()
    tokens = MistralTokens(devstrals_tekken_file(settings.data_dir / "tokenizers"))
    with tempfile.TemporaryDirectory() as directory:
        engines = _engines(Path(directory), settings.data_dir / "engines")
        print("| | the same | other | refused |\n|---|---|---|---|")
        for name in arguments.engine:
            for how, reads in _ways(name, tokens).items():
                found = await _asked(engines[name], reads, conversations(arguments.count))
                reasons = Counter({reason: count for reason, count in found.items() if reason not in {"same", "other"}})
                refused = reasons.total()
                for reason, count in reasons.most_common(MOST_REASONS):
                    print(f"{name}, {how}: {count} times {reason[:REASON_CHARS]}", file=sys.stderr)
                print(f"| {name}, {how} | {found['same']} | {found['other']} | {refused} |", flush=True)
            for running in running_engines(Path(directory)):
                stop_engine(running, Path(directory))


def _engines(directory: Path, root: Path) -> dict[str, Engine]:
    checkpoint = random_checkpoint(tiny_decoder(width=256, layers=2), seed=0)
    convert(checkpoint, directory / "mistral", "mistral", "bf16", chat_template=None)
    convert(checkpoint, directory / "tiny.gguf", "gguf", "bf16", chat_template=chat_template())
    vllm = VllmSettings(context_tokens=CONTEXT_TOKENS, slots=AT_ONCE)
    llama_cpp = LlamaCppSettings(context_tokens=CONTEXT_TOKENS)
    return {
        "llama.cpp": LlamaCpp(directory / "tiny.gguf", llama_cpp, directory),
        "vllm": Vllm(directory / "mistral", vllm, directory, Installation(root, "vllm"), "tiny"),
    }


def _ways(engine: str, tokens: MistralTokens) -> dict[str, Reads]:
    async def templated(client: httpx.AsyncClient, request: Request) -> str:
        """The template's text, and its tokens."""
        answer = await client.post("/apply-template", json=native_calling.body(request))
        if answer.is_error:
            return answer.text
        body = {"content": answer.json()["prompt"], "add_special": True, "parse_special": True}
        return _judged((await client.post("/tokenize", json=body)).json()["tokens"] == tokens.prompt(request))

    async def given(client: httpx.AsyncClient, request: Request) -> str:
        """Tokens are sent; the engine says how many it read, and their text."""
        prompt = tokens.prompt(request)
        answer = await client.post("/completion", json={"prompt": prompt, "n_predict": 1})
        read: dict[str, Any] = answer.raise_for_status().json()
        return _judged((read["tokens_evaluated"], read["prompt"]) == (len(prompt), tokens.decoded(prompt)))

    def asked(body: Callable[[Request], dict[str, Any]]) -> Reads:
        async def ids(client: httpx.AsyncClient, request: Request) -> str:
            wanted = body(request) | ONE | {"model": "tiny", "return_token_ids": True}
            answer = await client.post("/v1/chat/completions", json=wanted)
            return (
                answer.text if answer.is_error else _judged(answer.json()["prompt_token_ids"] == tokens.prompt(request))
            )

        return ids

    if engine == "llama.cpp":
        return {"as OpenAI's clients send it": templated, "as Patchwright does": given}
    return {"as OpenAI's clients send it": asked(native_calling.body), "as Patchwright does": asked(chat_completion)}


def _judged(same: bool) -> str:
    return "same" if same else "other"


async def _asked(engine: Engine, reads: Reads, requests: list[Request]) -> Counter[str]:
    endpoint = await engine.connect()
    assert endpoint.api_key
    headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}"}
    turns = asyncio.Semaphore(AT_ONCE)
    root = endpoint.base_url.removesuffix("/v1")
    async with httpx.AsyncClient(base_url=root, headers=headers, timeout=300, trust_env=False) as client:

        async def in_turn(request: Request) -> str:
            async with turns:
                return await reads(client, request)

        return Counter(await asyncio.gather(*map(in_turn, requests)))


if __name__ == "__main__":
    asyncio.run(main())
