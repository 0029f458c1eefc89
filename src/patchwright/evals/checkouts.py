"""What was fetched from the URLs that a user named: kept, and from then on used without asking its origin.

So a run that goes on later works on what it began with, whatever has become of the origin meanwhile.
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from patchwright.errors import BenchmarkError, RecordError
from patchwright.evals.origins import Fetch
from patchwright.lock import locked
from patchwright.schema.endpoint import shown


@dataclass(frozen=True)
class Checkouts:
    """Files and checkouts in one directory, each under its URL's last name and the hash of all of it."""

    directory: Path

    def fetched(self, url: str, fetch: Fetch, check: Callable[[Path], object]) -> Path:
        """Where what the URL names lies; when it is not here, it is fetched, and kept if `check` raises nothing.

        Safe in several processes at once: the later ones wait, and then find it. Raises BenchmarkError, the
        RecordError of `check`, and OSError where the directory cannot be written to.
        """
        place = self.directory / _name(url)
        if not place.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            with locked(self.directory / f".{place.name}.lock"):
                if not place.exists():
                    self._fetch(url, place, fetch, check)
        return place

    def _fetch(self, url: str, place: Path, fetch: Fetch, check: Callable[[Path], object]) -> None:
        prefix = f".{place.name}.partial-"
        for left_over in self.directory.glob(f"{prefix}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with TemporaryDirectory(prefix=prefix, dir=self.directory) as partial:
            arriving = Path(partial) / place.name
            fetch(url, arriving)
            try:
                check(arriving)
            except (BenchmarkError, RecordError) as error:
                # The user named the URL, and this place will be gone.
                raise type(error)(str(error).replace(str(arriving), shown(url)), hint=error.hint) from None
            arriving.replace(place)


def _name(url: str) -> str:
    last = url.rstrip("/").rpartition("/")[2].partition("?")[0].removesuffix(".git")
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.")[:60] or "checkout"
    return f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
