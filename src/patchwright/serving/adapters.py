"""LoRA adapters of what is behind the gateway, as its routes see them.

The fields are vLLM's, and so is that an adapter is a model with a parent:
https://docs.vllm.ai/en/latest/features/lora.html
"""

from typing import Protocol

from patchwright.engines.adapters import NamedAdapter
from patchwright.schema.messages import Json
from patchwright.serving.problems import INVALID, Problem


class Adapters(Protocol):
    """`owner`: the name of the key that a request comes with."""

    def listed(self) -> list[Json]:
        """Those that are loaded, and those that could be."""
        ...

    async def load(self, name: str, path: str, owner: str) -> Json:
        """The entry of the adapter. Raises Problem, and nothing has changed."""
        ...

    async def unload(self, name: str, owner: str) -> None:
        """The same. Raises Problem."""
        ...


class FixedAdapters:
    """Those that engines were started with, and keep. `way_out`: why, and what can be done instead."""

    def __init__(self, base: str, adapters: tuple[NamedAdapter, ...], way_out: str) -> None:
        self._base = base
        self._adapters = adapters
        self._way_out = way_out

    def listed(self) -> list[Json]:
        return [entry(each.name, each.path.name, self._base, loaded=True) for each in self._adapters]

    async def load(self, name: str, path: str, owner: str) -> Json:
        raise Problem(INVALID, self._way_out)

    async def unload(self, name: str, owner: str) -> None:
        raise Problem(INVALID, self._way_out)


def entry(name: str, file: str, base: str, *, loaded: bool) -> Json:
    """An adapter in a list; `file` without the directories that lead to it."""
    return {"name": name, "path": file, "loaded": loaded, "base": base}
