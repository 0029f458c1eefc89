"""Telling an upstream that reads a long prompt from one that hangs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from patchwright.schema.messages import Json
from patchwright.serving.problems import UNAVAILABLE, Problem
from patchwright.serving.upstream import Upstream

SILENCE_S = 20.0
"""Reading a prompt may take minutes in which no chunk comes; saying which models there are takes none."""


async def watched(upstream: Upstream, chunks: AsyncGenerator[Json], silence_s: float) -> AsyncGenerator[Json]:
    """The upstream's chunks. Whenever none has come for so long, it is asked whether it is there at all.

    Raises Problem when it is not: UNAVAILABLE, as if its connection had broken.
    """
    async with aclosing(chunks):
        while (chunk := await _next(upstream, chunks, silence_s)) is not None:
            yield chunk


async def _next(upstream: Upstream, chunks: AsyncGenerator[Json], silence_s: float) -> Json | None:
    coming = asyncio.ensure_future(anext(chunks, None))
    try:
        while not (await asyncio.wait({coming}, timeout=silence_s))[0]:
            if not await upstream.ready() and not coming.done():
                raise Problem(UNAVAILABLE, "it hangs: nothing comes of a request, nor of a question what it serves")
        return coming.result()
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
