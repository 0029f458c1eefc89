"""What the sources of a file have in common: what they promise of it, and how they fail."""

from typing import NamedTuple

from patchwright.errors import ModelError


class Promise(NamedTuple):
    """What is known of a file before it is fetched; None where nobody says."""

    size_bytes: int | None = None
    sha256: str | None = None
    etag: str | None = None
    """Another value of it means other bytes."""

    @property
    def identity(self) -> str | None:
        """What the bytes of an interrupted fetch must have in common with those that follow."""
        return self.sha256 or self.etag

    def is_kept(self, size_bytes: int, sha256: str) -> bool:
        """Whether a file of this length and hash is the one that was promised, as far as was promised."""
        return self.sha256 in (None, sha256) and self.size_bytes in (None, size_bytes)


class SourceFailed(ModelError):
    """This source cannot deliver the file; the next one may."""
