"""Devstral's whole window, end to end: python benchmarks/long_context.py DIRECTORY

Makes a tiny checkpoint of Devstral's architecture and tokenizer in DIRECTORY, writes a conversation of nearly 131,072
tokens with a needle at 5, 50 and 95 % of it, checks that the needles are in the ids that are sent, has the embedded
engine read them all and answer, and prints how long it took and what the process takes.
"""

import argparse
import asyncio
import time
from pathlib import Path

from patchwright.chat.mistral.template import chat_template
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.config import load_settings
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import find_engine, stop_engine
from patchwright.models.checkpoint.convert import convert
from patchwright.models.checkpoint.tiny import random_checkpoint, tiny_decoder
from patchwright.models.tokenizer import devstrals_tekken_file
from patchwright.policy.mistral import MistralPolicy
from patchwright.schema.messages import Reply, Request, Sampling, UserMessage

WINDOW = 131_072
LEFT = 512
"""Tokens of the window that the text leaves for its surroundings and the answer."""
ANSWER_TOKENS = 8
NEEDLE = " The code word is 葡萄-{}-zyzzyva."
PLACES = (5, 50, 95)
HAY = "    total = total + values[index]  # one line like any other\n"


def needles(tokens: MistralTokens) -> Request:
    lines = (WINDOW - LEFT) // len(tokens.encoded(HAY))
    hay = [HAY] * (lines - 10)
    for place in PLACES:
        hay.insert(len(hay) * place // 100, NEEDLE.format(place))
    return Request(messages=(UserMessage(content="".join(hay)),), sampling=Sampling(max_tokens=ANSWER_TOKENS))


def position(needle: list[int], ids: list[int]) -> float:
    """Where it is, as a share of the whole. Its ends may have grown together with what is around it."""
    inner = needle[2:-2]
    start = next(at for at in range(len(ids)) if ids[at : at + len(inner)] == inner)
    return start / len(ids)


async def main(directory: Path) -> None:
    path = directory / "tiny-devstral.gguf"
    if not path.exists():
        checkpoint = random_checkpoint(tiny_decoder(width=128, layers=1), seed=0)
        convert(checkpoint, path, "gguf", "f16", chat_template=chat_template())
    tokens = MistralTokens(devstrals_tekken_file(directory))
    request = needles(tokens)
    ids = tokens.prompt(request)
    found = [position(tokens.encoded(NEEDLE.format(place)), ids) for place in PLACES]
    print(f"{len(ids):,} tokens, needles at " + ", ".join(f"{share:.1%}" for share in found))
    state_dir = load_settings().state_dir
    engine = LlamaCpp(path, LlamaCppSettings(context_tokens=WINDOW), state_dir)
    async with MistralPolicy.connected(engine.connect, tokens) as policy:
        started = time.monotonic()
        reply = [delta async for delta in policy.stream(request)][-1]
        seconds = time.monotonic() - started
    running = find_engine(state_dir, "tiny-devstral")
    stop_engine(running, state_dir)
    assert isinstance(reply, Reply)
    print(f"read {reply.usage.prompt_tokens:,} and answered {reply.usage.completion_tokens} in {seconds:.0f} s")
    planned, resident = running.planned_bytes / 1e9, running.resident_bytes / 1e9
    print(f"window {running.context_tokens:,}, planned {planned:.2f} GB, resident {resident:.2f} GB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    asyncio.run(main(parser.parse_args().directory))
