"""What prefix affinity is worth: python benchmarks/prefix_affinity.py [MODEL] [CONVERSATIONS] [TURNS]

Several conversations of several turns over two engines, each turn in another order, two requests at a time: once
balanced by prefix affinity and once round robin, each time with two engines that were started for it. Prints the share
of the prompts' tokens that came from the engines' caches, and how long it took; compare the ratios, not with other
machines.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry

from patchwright.cli.assemble import engine_of
from patchwright.config import Settings, load_settings
from patchwright.engines.base import Replica
from patchwright.engines.running import running_engines, stop_engine
from patchwright.policy.connection import Connection
from patchwright.schema.messages import Json
from patchwright.serving.balanced import Balanced
from patchwright.serving.body import ChatBody
from patchwright.serving.chunks import Completion
from patchwright.serving.openai_upstream import OpenAIUpstream
from patchwright.serving.upstream import Upstream

ENGINES = 2
AT_ONCE = 2
ANSWER_TOKENS = 16
OPENING_CHARS, TURN_CHARS = 1_500, 300
SOURCE = (Path(__file__).resolve().parent.parent / "src" / "patchwright" / "sandbox" / "client.py").read_text() * 20


class RoundRobin:
    """Each request goes to the next upstream."""

    def __init__(self, upstreams: list[Upstream]) -> None:
        self.model = upstreams[0].model
        self.context_tokens = upstreams[0].context_tokens
        self.adapters = upstreams[0].adapters
        self._next: Iterator[Upstream] = cycle(upstreams)

    def chat(self, body: ChatBody) -> AsyncGenerator[Json]:
        return next(self._next).chat(body)

    def completion(self, body: Json) -> AsyncGenerator[Json]:
        return next(self._next).completion(body)

    async def ready(self) -> bool:
        return True


@asynccontextmanager
async def engines(settings: Settings) -> AsyncGenerator[list[Upstream]]:
    """Started now, with nothing in their caches, and stopped at the end."""
    replicas = [engine_of(settings, Replica(number=number, of=ENGINES)) for number in range(ENGINES)]
    try:
        async with AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(Connection.opened(each.connect)) for each in replicas]
            yield [OpenAIUpstream(each) for each in opened]
    finally:
        for engine in running_engines(settings.state_dir):
            stop_engine(engine, settings.state_dir)


async def replayed(upstream: Upstream, conversations: int, turns: int) -> tuple[int, int, float]:
    """Tokens of the prompts, those of them from a cache, and seconds."""
    histories: list[list[Json]] = [[] for _ in range(conversations)]
    order, may_ask = random.Random(1), asyncio.Semaphore(AT_ONCE)
    prompt_tokens = cached_tokens = 0

    async def turn(number: int, chars: int) -> None:
        nonlocal prompt_tokens, cached_tokens
        history = histories[number]
        start = (number * 997 + len(history) * 331) % 10_000
        history.append({"role": "user", "content": f"{number}\n{SOURCE[start : start + chars]}"})
        fields = {"messages": history, "max_tokens": ANSWER_TOKENS, "temperature": 0}
        completion = Completion()
        async with may_ask:
            async for chunk in upstream.chat(ChatBody.model_validate(fields)):
                completion.add(chunk)
        answer = completion.json()
        history.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
        prompt_tokens += answer["usage"]["prompt_tokens"]
        cached_tokens += answer["usage"]["prompt_tokens_details"]["cached_tokens"]

    began_s = time.monotonic()
    for number in range(turns):
        shuffled = order.sample(range(conversations), conversations)
        await asyncio.gather(*(turn(each, TURN_CHARS if number else OPENING_CHARS) for each in shuffled))
    return prompt_tokens, cached_tokens, time.monotonic() - began_s


async def main(model: str, conversations: int, turns: int) -> None:
    with TemporaryDirectory() as directory:
        settings = load_settings(model=model, state_dir=Path(directory))
        slots = settings.llama_cpp.slots
        async with engines(settings) as upstreams:
            names = {f"replica-{number}": each for number, each in enumerate(upstreams, 1)}
            async with Balanced.opened(names, slots, CollectorRegistry()) as balanced:
                with_affinity = await replayed(balanced, conversations, turns)
        async with engines(settings) as upstreams:
            in_turn = await replayed(RoundRobin(upstreams), conversations, turns)
    print(f"{conversations} conversations of {turns} turns over {ENGINES} engines with {model}")
    for name, (prompt_tokens, cached_tokens, took_s) in (("prefix affinity", with_affinity), ("round robin", in_turn)):
        share = cached_tokens / prompt_tokens
        print(f"{name}: {share:.0%} of {prompt_tokens} prompt tokens from cache, {took_s:.1f} s")
    read = [prompt_tokens - cached_tokens for prompt_tokens, cached_tokens, _ in (with_affinity, in_turn)]
    print(f"affinity to round robin: tokens computed {read[0] / read[1]:.2f}, time {with_affinity[2] / in_turn[2]:.2f}")


if __name__ == "__main__":
    chosen = sys.argv[1:] + ["smollm2-135m", "5", "6"][len(sys.argv) - 1 :]
    asyncio.run(main(chosen[0], int(chosen[1]), int(chosen[2])))
