"""What `patchwright model list` and `show` print, as records for --json and as tables."""

from pathlib import Path

from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from patchwright.models.catalogue import CatalogueEntry, FileSource, HubFile, catalogue
from patchwright.models.download import Receipt
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.reference import LocalModel, ModelReference, resolve
from patchwright.models.store import ModelStore
from patchwright.models.wheels import WheelIndex
from patchwright.schema.record import Record

WHOLE_LINES = 1000
"""Columns of the console: a hash or a path is never cut, a narrow terminal wraps."""


class Row(Record):
    """A model in the list. `path` is None when it is not here."""

    name: str
    title: str
    quantisation: str
    licence: str
    size_bytes: int | None
    path: Path | None


class Description(Record):
    """All that is known of a model. `gguf` is what its file says, None when it is not here or is no GGUF."""

    name: str
    title: str
    licence: str
    sources: tuple[str, ...]
    size_bytes: int | None
    sha256: str | None
    profile: str | None
    temperature: float | None
    path: Path | None
    receipt: Receipt | None
    gguf: GgufInfo | None


def listing(store: ModelStore) -> tuple[Row, ...]:
    """The catalogue, then what else is in the store."""
    known = tuple(_row(entry, store) for entry in catalogue())
    names = {row.name for row in known}
    others = (resolve(model.name) for model in store.installed() if model.name not in names)
    return known + tuple(_row(entry, store) for entry in others if isinstance(entry, CatalogueEntry))


def description(store: ModelStore, reference: ModelReference) -> Description:
    """Raises ModelError when the model's file is there and is not a GGUF that can be read."""
    path = store.find(reference)
    gguf = read_gguf(path) if path and path.is_file() else None
    receipt = store.receipt(reference)
    if isinstance(reference, LocalModel):
        return Description(
            name=reference.name,
            title=gguf.name if gguf else "",
            licence="unknown",
            sources=("a file of your own",),
            size_bytes=reference.path.stat().st_size,
            sha256=None,
            profile=None,
            temperature=None,
            path=path,
            receipt=None,
            gguf=gguf,
        )
    return Description(
        name=reference.name,
        title=reference.title,
        licence=reference.licence,
        sources=_sources(reference),
        size_bytes=_size_bytes(reference, path),
        sha256=reference.sha256 or (receipt.sha256 if receipt else None),
        profile=reference.profile,
        temperature=reference.temperature,
        path=path,
        receipt=receipt,
        gguf=gguf,
    )


def print_listing(rows: tuple[Row, ...]) -> None:
    table = Table("model", "quantisation", "size", "licence", "here", "", box=None)
    for row in rows:
        size = "unknown" if row.size_bytes is None else gigabytes(row.size_bytes)
        table.add_row(row.name, row.quantisation, size, row.licence, "yes" if row.path else "no", row.title)
    Console(width=WHOLE_LINES).print(table)


def print_description(shown: Description) -> None:
    table = Table(show_header=False, box=None)
    for label, value in _facts(shown).items():
        table.add_row(label, Text(value))
    Console(width=WHOLE_LINES, highlight=False).print(table)


def print_json(value: BaseModel | tuple[BaseModel, ...]) -> None:
    adapter = TypeAdapter[BaseModel | tuple[BaseModel, ...]](type(value))
    print(adapter.dump_json(value, indent=2).decode())


def gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"


def origin(receipt: Receipt | None) -> str:
    """Where a file came from and how far it can be trusted, in one sentence."""
    if receipt is None:
        return "pulled"
    judged = {
        "catalogue": "its SHA-256 is the one in the catalogue",
        "server": "its SHA-256 is the one that the server names; the catalogue has none",
        "nothing": "its SHA-256 could not be checked: neither the catalogue nor the server has one",
    }[receipt.checked_against]
    return f"pulled from {receipt.source}: {judged}"


def _row(entry: CatalogueEntry, store: ModelStore) -> Row:
    path = store.find(entry)
    return Row(
        name=entry.name,
        title=entry.title,
        quantisation=entry.quantisation,
        licence=entry.licence,
        size_bytes=_size_bytes(entry, path),
        path=path,
    )


def _size_bytes(entry: CatalogueEntry, path: Path | None) -> int | None:
    return path.stat().st_size if path and path.is_file() else entry.size_bytes


def _sources(entry: CatalogueEntry) -> tuple[str, ...]:
    if entry.repository:
        return (f"Hugging Face: {entry.repository.repo}",)
    return tuple(_source(source) for source in entry.sources)


def _source(source: FileSource) -> str:
    if isinstance(source, HubFile):
        return f"Hugging Face: {source.repo}/{source.path}"
    return WheelIndex().describe(source)


def _facts(shown: Description) -> dict[str, str]:
    facts = {
        "model": shown.name,
        "title": shown.title,
        "licence": shown.licence,
        "sources": "\n".join(shown.sources),
        "size": "unknown until it is pulled" if shown.size_bytes is None else f"{shown.size_bytes:,} bytes",
        "SHA-256": shown.sha256 or "unknown until it is pulled",
        "profile": shown.profile or "",
        "here": str(shown.path) if shown.path else "no",
        "origin": origin(shown.receipt) if shown.receipt else "",
    }
    return {label: fact for label, fact in (facts | _gguf_facts(shown.gguf)).items() if fact}


def _gguf_facts(gguf: GgufInfo | None) -> dict[str, str]:
    if gguf is None:
        return {}
    return {
        "architecture": f"{gguf.architecture}, {gguf.parameters / 1e9:.2f} billion parameters in {gguf.quantisation}",
        "layers": f"{gguf.layers} of width {gguf.embedding_length}, {gguf.heads} heads, {gguf.kv_heads} KV heads",
        "window": f"{gguf.context_tokens:,} tokens",
        "vocabulary": f"{gguf.vocabulary:,} tokens",
        "tensors": ", ".join(f"{kind} {gigabytes(size)}" for kind, size in gguf.tensor_bytes.items()),
        "chat template": "yes" if gguf.has_chat_template else "no",
    }
