"""How fast the embedded engine writes beside a command that never ends: python benchmarks/beside_engine.py [MODEL]

Alone, beside such a command in the sandbox, which gives it a lower priority, and beside one that has the engine's own,
in a session of its own. All three in turn, ROUNDS times; the middle round counts.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from statistics import median

from patchwright.cli.assemble import connected, engine_of
from patchwright.config import load_settings
from patchwright.policy.base import Policy
from patchwright.sandbox.kinds import open_sandbox
from patchwright.schema.messages import Request, Sampling, UserMessage

ROUNDS = 3
ANSWER_TOKENS = 60
LIMIT_S = 120
COMMAND = "while :; do :; done"


async def main(model: str) -> None:
    settings = load_settings(model=model)
    async with connected(engine_of(settings), settings) as policy:
        await tokens_per_second(policy, nullcontext())
        rounds = [
            [await tokens_per_second(policy, beside) for beside in (nullcontext(), in_the_sandbox(), outside())]
            for _ in range(ROUNDS)
        ]
    names = ("alone", "beside one in the sandbox", "beside one outside")
    for name, speeds in zip(names, zip(*rounds, strict=True), strict=True):
        print(f"{name}: {median(speeds):.1f} tokens/s  ({', '.join(f'{speed:.1f}' for speed in speeds)})")


async def tokens_per_second(policy: Policy, beside: AbstractAsyncContextManager[None]) -> float:
    prompt = UserMessage(content="Explain at length how a hash table works.")
    request = Request(messages=(prompt,), sampling=Sampling(temperature=0, max_tokens=ANSWER_TOKENS))
    async with beside:
        started = time.monotonic()
        await policy.answers(request, 1)
        return ANSWER_TOKENS / (time.monotonic() - started)


@asynccontextmanager
async def in_the_sandbox() -> AsyncGenerator[None]:
    with tempfile.TemporaryDirectory() as directory:
        async with open_sandbox("bubblewrap", Path(directory), load_settings().sandbox) as sandbox:
            running = asyncio.create_task(sandbox.run(COMMAND, timeout_s=LIMIT_S))
            await asyncio.sleep(1)
            yield
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@asynccontextmanager
async def outside() -> AsyncGenerator[None]:
    running = subprocess.Popen(["bash", "-c", COMMAND], start_new_session=True)
    try:
        await asyncio.sleep(1)
        yield
    finally:
        running.kill()
        running.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["qwen2.5-coder-1.5b"]))
