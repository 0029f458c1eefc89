"""A file's content, a server that offers it, and a store to pull it into."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchwright.models.catalogue import CatalogueEntry, FileSource, HubFile
from patchwright.models.hub import Hub
from patchwright.models.store import ModelStore
from tests.models.hub_server import HubServer, serve

REPO, FILE = "ada/tiny", "tiny.gguf"
HUB_FILE = HubFile(repo=REPO, path=FILE)
CONTENT = random.Random(0).randbytes(3_000_000)


def entry(*sources: FileSource, content: bytes | None = CONTENT) -> CatalogueEntry:
    """An entry whose length and hash are those of `content`; None: the catalogue does not know them."""
    return CatalogueEntry(
        model="tiny",
        quantisation="q4_0",
        file=FILE,
        size_bytes=None if content is None else len(content),
        sha256=None if content is None else hashlib.sha256(content).hexdigest(),
        sources=sources,
    )


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    with serve(HubServer({f"{REPO}/{FILE}": CONTENT})) as server:
        yield server


@pytest.fixture
def store(hub_server: HubServer, tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models", Hub(base_url=hub_server.url))
