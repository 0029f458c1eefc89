"""The Engine protocol: start or find a server, and say where it is."""

from typing import Literal, Protocol

from patchwright.schema.endpoint import Endpoint
from patchwright.schema.record import Record

ServedName = Literal["vllm", "transformers", "openvino"]
"""The engines that are programs in an environment of their own."""

InstalledName = Literal[ServedName, "mistral-inference"]
"""What `patchwright engine install` makes an environment for. mistral-inference serves nobody: it only generates."""

EngineName = Literal["llama.cpp", ServedName]


class Replica(Record):
    """Which of several engines that run one model on this machine, side by side."""

    number: int = 0
    of: int = 1

    @property
    def identity(self) -> tuple[int, ...]:
        """What makes it another engine than one that has the machine to itself."""
        return () if self.of == 1 else (self.number, self.of)


ALONE = Replica()


class Engine(Protocol):
    """Something that can bring up an endpoint."""

    name: str

    async def connect(self) -> Endpoint:
        """The endpoint, ready to answer: a running engine is found again, otherwise one is started.

        Safe to call from several processes at once and again after a crash. Raises EngineError.
        """
        ...
