"""What a user may name as a model: a catalogue name, a local GGUF file, or a file on Hugging Face."""

import difflib
import re
from pathlib import Path
from urllib.parse import quote

from patchwright.errors import ModelError
from patchwright.models.catalogue import SAFETENSORS, CatalogueEntry, HubFile, HubRepo, catalogue
from patchwright.schema.record import Record

HUB_PREFIX = "hf:"


class LocalModel(Record):
    """A GGUF file or a directory of safetensors of the user's own, read where it lies and never removed."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem


ModelReference = CatalogueEntry | LocalModel


def resolve(text: str) -> ModelReference:
    """The model that `text` names; nothing is fetched.

    `name`, `alias` or `name:quantisation` is looked up in the catalogue; `hf:owner/repo/path/to/file.gguf` (or
    `hf:owner/repo` for a repository of safetensors) makes an entry on the spot; anything that ends in .gguf or
    has a slash is a local path. Raises ModelError, with close names as its hint, for anything else.
    """
    if text.startswith(HUB_PREFIX):
        return _hub_entry(text)
    if text.endswith(".gguf") or "/" in text:
        return _local(Path(text).expanduser())
    for entry in catalogue():
        if text.lower() in _spellings(entry):
            return entry
    raise ModelError(f"no model is called {text!r}", hint=_suggestion(text.lower()))


def _local(path: Path) -> LocalModel:
    if not path.exists():
        raise ModelError(
            f"{path}: there is no such file or directory",
            hint=f"for a file on Hugging Face write {HUB_PREFIX}owner/repo/file.gguf",
        )
    return LocalModel(path=path.absolute())


def _hub_entry(text: str) -> CatalogueEntry:
    match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/([\w.-]+(?:/[\w.-]+)*))?", text.removeprefix(HUB_PREFIX))
    if not match or ".." in text:
        raise ModelError(f"{text!r} does not name a file on Hugging Face", hint=f"write {HUB_PREFIX}owner/repo/file")
    repo, path = match.groups()
    if path:
        source = HubFile(repo=repo, path=path)
        return CatalogueEntry(model=text, quantisation="", file=quote(path, safe=""), sources=(source,))
    return CatalogueEntry(model=text, quantisation=SAFETENSORS, file=SAFETENSORS, repository=HubRepo(repo=repo))


def _spellings(entry: CatalogueEntry) -> set[str]:
    names = (entry.model, *entry.aliases)
    explicit = {f"{name}:{entry.quantisation}" for name in names}
    return explicit | set(names) if entry.default else explicit


def _suggestion(text: str) -> str:
    spellings = [spelling for entry in catalogue() for spelling in sorted(_spellings(entry))]
    known = [spelling for spelling in spellings if (":" in spelling) == (":" in text)]
    close = difflib.get_close_matches(text, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else "see `patchwright model list`"
