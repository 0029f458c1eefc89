"""The Engine protocol: start or find a server, and say where it is."""

from typing import Literal, Protocol

from patchwright.schema.endpoint import Endpoint

ServedName = Literal["vllm", "transformers"]
"""The engines that are programs in an environment of their own."""

EngineName = Literal["llama.cpp", "vllm", "transformers"]


class Engine(Protocol):
    """Something that can bring up an endpoint."""

    name: str

    async def connect(self) -> Endpoint:
        """The endpoint, ready to answer: a running engine is found again, otherwise one is started.

        Safe to call from several processes at once and again after a crash. Raises EngineError.
        """
        ...
