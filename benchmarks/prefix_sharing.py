"""What several answers to one prompt cost: python benchmarks/prefix_sharing.py [MODEL] [ANSWERS]

Three ways, in one run, with a prompt of about 1,500 tokens and answers of 64: one request for n answers, n requests in
a row whose prompt the engine still has in its cache, and n requests whose prompts it has to read again. Each way begins
with a prompt of its own, so that nothing is left from the way before.
"""

import asyncio
import sys
import time
from pathlib import Path

from patchwright.cli.assemble import connected, engine_of
from patchwright.config import load_settings
from patchwright.schema.messages import Request, Sampling, UserMessage

PROMPT_CHARS = 6_000
ANSWER_TOKENS = 64
SOURCE = Path(__file__).resolve().parent.parent / "src" / "patchwright" / "sandbox" / "client.py"


def request(first_words: str) -> Request:
    text = f"{first_words}\n\n{SOURCE.read_text()[:PROMPT_CHARS]}\n\nWhat does this do? Explain it at length."
    sampling = Sampling(temperature=0.8, max_tokens=ANSWER_TOKENS)
    return Request(messages=(UserMessage(content=text),), sampling=sampling)


async def main(model: str, n: int) -> None:
    settings = load_settings(model=model)
    async with connected(engine_of(settings), settings) as policy:
        await policy.answers(Request(messages=(UserMessage(content="hi"),), sampling=Sampling(max_tokens=4)), 1)
        begun = str(time.time_ns())
        started = time.monotonic()
        await policy.answers(request(f"{begun} together"), n)
        together_s = time.monotonic() - started
        started = time.monotonic()
        for _ in range(n):
            await policy.answers(request(f"{begun} in a row"), 1)
        in_a_row_s = time.monotonic() - started
        started = time.monotonic()
        for number in range(n):
            await policy.answers(request(f"{begun} apart {number}"), 1)
        apart_s = time.monotonic() - started
    print(f"{n} answers of {ANSWER_TOKENS} tokens from {model}")
    print(f"one request: {together_s:.1f} s")
    print(f"{n} requests, prompt cached after the first: {in_a_row_s:.1f} s, ratio {together_s / in_a_row_s:.2f}")
    print(f"{n} requests, prompt read each time: {apart_s:.1f} s, ratio {together_s / apart_s:.2f}")


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else "qwen2.5-coder-1.5b"
    asyncio.run(main(chosen, int(sys.argv[2]) if len(sys.argv) > 2 else 4))
