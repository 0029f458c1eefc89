"""Calls that an endpoint's parser has missed: they stand in the text, where nobody carries them out."""

import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from patchwright.schema.messages import Json
from patchwright.serving.problems import MALFORMED, Problem


async def refused(chunks: AsyncGenerator[Json], tools: Iterable[str]) -> AsyncGenerator[Json]:
    """The chunks. Raises Problem in the place of the end of an answer that calls nothing, and spells a call of one of
    the tools in Mistral's control tokens, the first of which an engine may have taken out."""
    names = "|".join(map(re.escape, tools))
    spelt = re.compile(rf"\b(?:{names})\[ARGS\]\s*\{{|\[TOOL_CALLS\]\s*(?:\[\s*\{{|(?:{names})\b)")
    texts: defaultdict[int, str] = defaultdict(str)
    calling: set[int] = set()
    async with aclosing(chunks):
        async for chunk in chunks:
            for choice in chunk.get("choices") or ():
                number: int = choice.get("index", 0)
                delta: Json = choice.get("delta") or {}
                texts[number] += delta.get("content") or ""
                if delta.get("tool_calls"):
                    calling.add(number)
                if choice.get("finish_reason") and number not in calling and spelt.search(texts[number]):
                    raise Problem(MALFORMED, "a call stands in the text: the engine did not take it for one")
            yield chunk
