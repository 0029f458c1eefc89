"""What the gateway costs: python benchmarks/gateway_speed.py [MODEL] [--pairs N] [--streams N]

The same requests to llama.cpp's own server and to `patchwright serve` in front of that very server, in turn, so that a
machine that is busy for a while is busy for both. The prompt is in the cache after the first request: the time to the
first token is then all but the engine's work on the prompt. Then many streams at once, through the gateway alone.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx
from httpx_sse import aconnect_sse

from patchwright.cli.assemble import engine_of
from patchwright.config import Settings, load_settings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.schema.messages import Json

QUESTION = "What does this module do? Say it at length.\n"
SOURCE = (Path(__file__).resolve().parent.parent / "src" / "patchwright" / "sandbox" / "client.py").read_text()
PROMPT_CHARS = 6_000
ANSWER_TOKENS = 96
STREAM_TOKENS = 24
TIMEOUT_S = 900


class Server(NamedTuple):
    """base_url: with /v1."""

    base_url: str
    key: str


class Answer(NamedTuple):
    """Times in seconds since it was asked."""

    first_s: float
    last_s: float
    tokens: int
    finish_reason: str | None

    @property
    def tokens_per_s(self) -> float:
        """After the first token."""
        return (self.tokens - 1) / (self.last_s - self.first_s)


async def asked(client: httpx.AsyncClient, server: Server, text: str, max_tokens: int) -> Answer:
    """Raises httpx.HTTPStatusError, and ValueError for an error event."""
    body = {
        "messages": [{"role": "user", "content": text}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"Authorization": f"Bearer {server.key}"}
    arrived_s: list[float] = []
    tokens, finish_reason = 0, None
    began_s = time.perf_counter()
    url = f"{server.base_url}/chat/completions"
    async with aconnect_sse(client, "POST", url, json=body, headers=headers) as source:
        source.response.raise_for_status()
        async for event in source.aiter_sse():
            if event.data == "[DONE]":
                break
            chunk: Json = json.loads(event.data)
            if "error" in chunk:
                raise ValueError(event.data)
            for choice in chunk["choices"]:
                finish_reason = choice["finish_reason"] or finish_reason
                if choice["delta"].get("content"):
                    arrived_s.append(time.perf_counter() - began_s)
            if usage := chunk.get("usage"):
                tokens = int(usage["completion_tokens"])
    return Answer(arrived_s[0], arrived_s[-1], tokens, finish_reason)


@contextmanager
def gateway(settings: Settings, model: str) -> Generator[Server]:
    """A process of its own, in front of the engine of these settings, which runs already."""
    command = [sys.executable, "-m", "patchwright.cli.main", "serve", "--model", model, "--port", "0"]
    environment = os.environ | {"PATCHWRIGHT_STATE_DIR": str(settings.state_dir)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        try:
            found = re.search(r"serving \S+ at (http://\S+)", line)
            if not found:
                sys.exit(line + process.stderr.read())
            yield Server(found[1], "none")
        finally:
            process.terminate()


async def pairs(bare: Server, through: Server, number: int) -> tuple[list[Answer], list[Answer]]:
    """Each asked once before, for what is done once only. Who comes first changes."""
    text = QUESTION + SOURCE[:PROMPT_CHARS]
    answers: dict[Server, list[Answer]] = {bare: [], through: []}
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
        for server in (bare, through):
            await asked(client, server, text, 2)
        for turn in range(number):
            for server in (bare, through) if turn % 2 else (through, bare):
                answers[server].append(await asked(client, server, text, ANSWER_TOKENS))
    return answers[bare], answers[through]


async def at_once(server: Server, number: int) -> list[Answer | BaseException]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, limits=limits) as client:
        texts = [f"{turn}\n{SOURCE[turn * 50 : turn * 50 + 300]}" for turn in range(number)]
        asking = [asked(client, server, text, STREAM_TOKENS) for text in texts]
        return await asyncio.gather(*asking, return_exceptions=True)


def table(bare: Sequence[Answer], through: Sequence[Answer]) -> str:
    rows = ["| | to the first token, median | tokens/s |", "|---|---|---|"]
    for name, answers in (("llama.cpp's server", bare), ("the gateway in front of it", through)):
        first_ms = statistics.median(each.first_s for each in answers) * 1000
        rows.append(f"| {name} | {first_ms:.1f} ms | {_tokens_per_s(answers):.1f} |")
    more_ms = statistics.median(one.first_s - other.first_s for one, other in zip(through, bare, strict=True)) * 1000
    share = statistics.median(one.tokens_per_s / other.tokens_per_s for one, other in zip(through, bare, strict=True))
    rows.append(f"| median of {len(bare)} pairs | {more_ms:+.1f} ms | {share:.1%} |")
    return "\n".join(rows)


def _tokens_per_s(answers: Sequence[Answer]) -> float:
    return statistics.median(each.tokens_per_s for each in answers)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="qwen2.5-coder-1.5b")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--streams", type=int, default=64)
    chosen = parser.parse_args()
    with TemporaryDirectory() as directory:
        settings = load_settings(model=chosen.model, state_dir=Path(directory))
        endpoint = await engine_of(settings).connect()
        assert endpoint.api_key
        bare = Server(endpoint.base_url, endpoint.api_key.get_secret_value())
        try:
            with gateway(settings, chosen.model) as through:
                print(table(*await pairs(bare, through, chosen.pairs)), flush=True)
                began_s = time.perf_counter()
                answers = await at_once(through, chosen.streams)
                took_s = time.perf_counter() - began_s
            (engine,) = running_engines(settings.state_dir)  # the gateway has started none of its own
        finally:
            for engine in running_engines(settings.state_dir):
                stop_engine(engine, settings.state_dir)
    whole = [each for each in answers if isinstance(each, Answer) and each.finish_reason == "length"]
    print(f"{chosen.streams} streams at once: {len(whole)} ended well, {took_s:.0f} s, {engine.slots} slots")
    for each in answers:
        if isinstance(each, BaseException):
            print(f"{type(each).__name__}: {each}")


if __name__ == "__main__":
    asyncio.run(main())
