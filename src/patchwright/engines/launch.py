"""A launch: everything that an engine is started with, every choice made, nothing left to the machine."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr, TypeAdapter, field_serializer

from patchwright.engines.adapters import NamedAdapter
from patchwright.engines.base import ServedName
from patchwright.models.memory import KvType
from patchwright.schema.endpoint import Rules
from patchwright.schema.record import Record

GB = 1e9


class Launch(Record):
    """What is known of every engine. Holds the key."""

    id: str
    directory: Path
    """Where the engine's files are."""
    model: str
    """The name that the endpoint serves the model under."""
    path: Path
    context_tokens: int
    kv_type: KvType | Literal["bf16", "u8"]
    threads: int
    slots: int
    """Requests, or answers to one request, that are worked on at once."""
    planned_bytes: int
    """Resident memory as planned, without the cache for conversations that lost their slot."""
    streams: bool = True
    """Whether it can answer piece by piece."""
    rules: Rules = "any"
    tokenizes: bool = False
    """Whether it has llama.cpp's POST /tokenize."""
    idle_s: float
    start_timeout_s: float
    api_key: SecretStr

    @field_serializer("api_key", when_used="json")
    def _reveal(self, key: SecretStr) -> str:
        return key.get_secret_value()

    def summary(self) -> str:
        """The choices in a few words."""
        window = f"{self.context_tokens} tokens" + (f" for {self.slots} slots" if self.slots > 1 else "")
        planned = f"{self.planned_bytes / GB:.1f} GB planned"
        return f"{window}, KV cache in {self.kv_type}, {self.threads} threads, {planned}"


class LlamaCppLaunch(Launch):
    """llama.cpp in the process that watches it. The slots share the window."""

    engine: Literal["llama.cpp"] = "llama.cpp"
    probe: Literal["/v1/models"] = "/v1/models"
    """What is asked to see whether it answers us: /health is open to everybody."""
    cache_ram_mib: int
    adapters: tuple[NamedAdapter, ...] = ()
    """GGUF files. None of them applies unless a request asks for it."""
    ngram_speculation: bool
    repack: bool


class ServedLaunch(Launch):
    """A program of its own environment that serves OpenAI's protocol, behind a gate that asks for the key."""

    engine: ServedName
    probe: Literal["/health"] = "/health"
    """Behind the gate no route is open; transformers cannot list models where Hugging Face has no cache."""
    command: tuple[str, ...]
    """What is run, without the address."""
    address: Literal["uds", "port"]
    """The option by which it is told where to listen: `--uds FILE`, in a directory that is the owner's alone, or
    `--port NUMBER` on loopback."""
    variables: dict[str, str]
    """What it finds in its environment beside the starter's own."""


AnyLaunch: TypeAlias = Annotated[LlamaCppLaunch | ServedLaunch, Field(discriminator="engine")]
LAUNCH: TypeAdapter[LlamaCppLaunch | ServedLaunch] = TypeAdapter(AnyLaunch)
