"""What a pull or a conversion reports while it works."""

from collections.abc import Callable
from typing import Literal, NamedTuple

Stage = Literal["waiting", "fetching", "checking", "converting"]
"""`waiting`: another process is pulling the same file. `checking`: every byte is there, the hash is computed."""


class Progress(NamedTuple):
    """How far the file `file` is. `source` says where its bytes come from."""

    stage: Stage
    file: str
    source: str
    done_bytes: int
    total_bytes: int | None


OnProgress = Callable[[Progress], None]
OnBytes = Callable[[int], None]
"""Takes the size of the file so far."""
