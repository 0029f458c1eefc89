"""The embedded engine with adapters that can be changed while it serves."""

import asyncio
from pathlib import Path

import httpx

from patchwright.engines.adapters import NamedAdapter
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.running import running_engines, stop_engine
from patchwright.errors import EngineError
from patchwright.schema.endpoint import Endpoint

ANSWER_S = 10.0
"""For what its slots do. Between two batches it is said at once."""


class AdaptedLlamaCpp:
    """llama.cpp reads adapters when it starts, and only then: to change them is to start it again."""

    name = "llama.cpp"

    def __init__(self, engine: LlamaCpp, state_dir: Path) -> None:
        self._engine = engine
        self._state_dir = state_dir
        self._endpoint: Endpoint | None = None
        self._changing = asyncio.Lock()

    @property
    def adapters(self) -> tuple[NamedAdapter, ...]:
        return self._engine.adapters

    async def connect(self) -> Endpoint:
        """As the engine does; waits while it is changed. Raises EngineError."""
        async with self._changing:
            self._endpoint = await self._engine.connect()
            return self._endpoint

    async def check(self, adapters: tuple[NamedAdapter, ...]) -> None:
        """Reads the adapters' files, and converts them if need be; the engine goes on. Raises EngineError."""
        await self._engine.with_adapters(adapters).gguf_adapters()

    async def change(self, adapters: tuple[NamedAdapter, ...]) -> None:
        """Starts the engine again with these. What it is asked meanwhile is lost, so ask it nothing.

        One goes before the other comes: two windows may not fit into memory. Raises EngineError when it does not
        start with them; then it was started again with those that it had.
        """
        changed = self._engine.with_adapters(adapters)
        async with self._changing:
            await changed.gguf_adapters()
            await self._stop_unless_at_work()
            try:
                self._endpoint = await changed.connect()
            except EngineError:
                self._endpoint = await self._engine.connect()
                raise
            self._engine = changed

    async def _stop_unless_at_work(self) -> None:
        """Another program may use the engine as well: then it goes on for that one, and ends when it is idle."""
        if self._endpoint is None or await _is_at_work(self._endpoint):
            return
        for engine in running_engines(self._state_dir):
            if f"{engine.url}/v1" == self._endpoint.base_url:
                await asyncio.to_thread(stop_engine, engine, self._state_dir)


async def _is_at_work(endpoint: Endpoint) -> bool:
    assert endpoint.api_key
    headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}"}
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=ANSWER_S) as client:
        try:
            slots = (await client.get(f"{endpoint.base_url.removesuffix('/v1')}/slots", headers=headers)).json()
        except httpx.TimeoutException:
            return True  # in the middle of a batch
        except httpx.TransportError:
            return False
    return any(slot["is_processing"] for slot in slots)
