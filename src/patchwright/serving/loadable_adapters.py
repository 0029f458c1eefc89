"""LoRA adapters of one engine behind the gateway: listed, loaded and unloaded while it serves."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from patchwright.engines.adapters import NamedAdapter
from patchwright.errors import EngineError
from patchwright.models.adapter_files import files_of, is_adapter
from patchwright.policy.connection import Connection
from patchwright.schema.messages import Json
from patchwright.serving.adapters import entry
from patchwright.serving.keys import NOBODY
from patchwright.serving.openai_upstream import problem_of
from patchwright.serving.problems import BUSY, FORBIDDEN, INVALID, NO_MODEL, Problem
from patchwright.serving.queue import FairQueue, QueueFull

NOT_THERE = "no such adapter in the server's directory of adapters; GET /v1/adapters lists what can be loaded"


class AdaptedEngine(Protocol):
    """An engine whose adapters can be changed."""

    @property
    def adapters(self) -> tuple[NamedAdapter, ...]:
        """Those that it was started with."""
        ...

    async def check(self, adapters: tuple[NamedAdapter, ...]) -> None:
        """Raises EngineError when they cannot be used. Changes nothing."""
        ...

    async def change(self, adapters: tuple[NamedAdapter, ...]) -> None:
        """Must find the engine without work. Raises EngineError when it stayed with those that it had."""
        ...


class LoadableAdapters:
    """Of one engine, which all requests reach through `queue` and `connection`.

    `directory`: where adapters are taken from; without it none is loaded.
    """

    def __init__(self, engine: AdaptedEngine, connection: Connection, queue: FairQueue, directory: Path | None) -> None:
        self._engine = engine
        self._connection = connection
        self._queue = queue
        self._directory = directory

    def listed(self) -> list[Json]:
        """Those that are loaded, and those in the directory that could be."""
        loaded = [entry(each.name, each.path.name, self._base, loaded=True) for each in self._engine.adapters]
        return [*loaded, *(entry(path.stem, path.name, self._base, loaded=False) for path in self._others())]

    async def load(self, name: str, path: str, owner: str) -> Json:
        """Waits for requests that run; others wait for it. Raises Problem, and nothing has changed."""
        self._check_owner(owner)
        adapter = NamedAdapter(name=name, path=self._path(path))
        await self._checked(adapter)
        async with self._alone(owner):
            await self._change(self._with(adapter))
        return entry(name, adapter.path.name, self._base, loaded=True)

    async def unload(self, name: str, owner: str) -> None:
        """The same. Raises Problem."""
        self._check_owner(owner)
        self._check_loaded(name)
        async with self._alone(owner):
            self._check_loaded(name)
            await self._change(tuple(each for each in self._engine.adapters if each.name != name))

    @property
    def _base(self) -> str:
        return self._connection.endpoint.model

    def _others(self) -> Iterator[Path]:
        if self._directory is None or not self._directory.is_dir():
            return
        loaded = {each.path.resolve() for each in self._engine.adapters}
        for path in sorted(self._directory.iterdir()):
            if is_adapter(path) and self._is_inside(path) and path.resolve() not in loaded:
                yield path

    def _check_owner(self, owner: str) -> None:
        if owner == NOBODY:
            raise Problem(FORBIDDEN, "adapters are loaded by owners of keys; `patchwright keys create NAME` makes one")

    def _check_loaded(self, name: str) -> None:
        if all(each.name != name for each in self._engine.adapters):
            raise Problem(NO_MODEL, f"no adapter {name} is loaded; GET /v1/adapters lists them", param="name")

    def _path(self, path: str) -> Path:
        """Says of a file outside no more than of one that is not there. Raises Problem."""
        if self._directory is None:
            raise Problem(FORBIDDEN, "the server names no directory of adapters; `adapters_dir` under [serve] does")
        found = self._directory / path
        if not self._is_inside(found):
            raise Problem(INVALID, NOT_THERE, param="path")
        return found.resolve()

    def _is_inside(self, path: Path) -> bool:
        """Whether all that is read of it lies in the directory, wherever links lead. Never the directory itself."""
        assert self._directory is not None
        root = self._directory.resolve()
        try:
            found = [file.resolve(strict=True) for file in (path, *files_of(path))]
        except (OSError, RuntimeError, ValueError):  # not there, no name of a file, or a link that leads to itself
            return False
        return all(root in file.parents for file in found)

    def _with(self, adapter: NamedAdapter) -> tuple[NamedAdapter, ...]:
        taken = {self._base, *(each.name for each in self._engine.adapters)}
        if adapter.name in taken:
            raise Problem(
                INVALID, f"there is a model {adapter.name} already; unload it, or take another name", param="name"
            )
        return (*self._engine.adapters, adapter)

    async def _checked(self, adapter: NamedAdapter) -> None:
        """Before anybody has to wait."""
        try:
            await self._engine.check(self._with(adapter))
        except EngineError as error:
            raise _not_loaded(error) from None

    @asynccontextmanager
    async def _alone(self, owner: str) -> AsyncGenerator[None]:
        try:
            async with self._queue.place(owner, self._queue.slots):
                yield
        except QueueFull as full:
            message = f"{self._queue.waiting} requests wait already; try again later"
            raise Problem(BUSY, message, retry_after_s=full.retry_after_s) from None

    async def _change(self, adapters: tuple[NamedAdapter, ...]) -> None:
        try:
            await self._engine.change(adapters)
        except EngineError as error:
            raise _not_loaded(error) from None
        finally:
            await self._renew()

    async def _renew(self) -> None:
        try:
            await self._connection.renew()
        except EngineError as error:
            raise problem_of(error) from None


def _not_loaded(error: EngineError) -> Problem:
    return Problem(INVALID, f"nothing has changed: {error.with_hint}", param="path")
