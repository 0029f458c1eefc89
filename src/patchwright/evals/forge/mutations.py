"""Mutations: a project's functions and classes as SWE-smith's mutators change them."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from zlib import crc32

from swesmith.bug_gen.adapters.python import PythonEntity, get_entities_from_file_py
from swesmith.bug_gen.procedural.base import ProceduralModifier
from swesmith.bug_gen.procedural.python import MODIFIERS_PYTHON
from swesmith.bug_gen.utils import apply_code_change
from swesmith.constants import BugRewrite

from patchwright.resolve.sources import normalised, parsed

KEY_CHARS = 8


@dataclass(frozen=True)
class Mutation:
    """A file with one function or class changed."""

    path: str
    name: str
    """The plain name of the function or class."""
    mutator: str
    """SWE-smith's name for the change: "func_pm_remove_cond"."""
    lines: range
    """The lines that the function or class takes up in the original, from 1."""
    before: str
    after: str

    @property
    def block(self) -> list[str]:
        """The changed function's lines."""
        behind = self.before.count("\n") + 2 - self.lines.stop
        after = self.after.split("\n")
        return after[self.lines.start - 1 : len(after) - behind]

    @property
    def key(self) -> str:
        """The same for mutations that come to the same program."""
        return hashlib.sha256(f"{self.path}\0{normalised(self.after)}".encode()).hexdigest()[:KEY_CHARS]


def mutations(tree: Path, paths: Iterable[str], seed: int) -> Iterator[Mutation]:
    """All mutations of the files at `paths`, each once, in an order that depends on `seed` alone.

    Each has a random generator of its own: what it does is the same whatever comes before it.
    """
    pairs = [
        (path, entity, modifier)
        for path in sorted(paths)
        for entity in _entities(tree / path)
        for modifier in MODIFIERS_PYTHON
        if modifier.can_change(entity)
    ]
    Random(seed).shuffle(pairs)
    seen: set[str] = set()
    for path, entity, modifier in pairs:
        mutation = _mutated(path, entity, modifier, seed)
        if mutation and mutation.key not in seen:
            seen.add(mutation.key)
            yield mutation


def changed(sites: Iterable[Mutation]) -> dict[str, str]:
    """The files with all of these changes, by path. Raises ValueError where one lies within another."""
    texts: dict[str, str] = {}
    last: dict[str, int] = {}
    for site in sorted(sites, key=lambda each: each.lines.start, reverse=True):
        if site.lines.stop > last.get(site.path, site.lines.stop):
            raise ValueError(f"{site.name} lies within another function that is changed, or around it")
        last[site.path] = site.lines.start
        lines = texts.get(site.path, site.before).split("\n")
        lines[site.lines.start - 1 : site.lines.stop - 1] = site.block
        texts[site.path] = "\n".join(lines)
    return texts


def _mutated(path: str, entity: PythonEntity, template: ProceduralModifier, seed: int) -> Mutation | None:
    own_seed = crc32(f"{seed} {path} {entity.line_start} {template.name}".encode())
    modifier = type(template)(template.likelihood, seed=own_seed)
    rewrite = modifier.modify(entity)
    if rewrite is None or not rewrite.rewrite.strip():
        return None
    before = Path(entity.file_path).read_text(encoding="utf-8")
    after = _with(entity, rewrite, before)
    unchanged = BugRewrite(entity.src_code, explanation="", strategy="")
    if _with(entity, unchanged, before) != before:
        # A string in it starts further left than the code; SWE-smith takes the indentation off every line.
        return None
    if parsed(after) is None or normalised(after) == normalised(before):
        return None
    lines = range(entity.line_start, entity.line_end + 1)
    return Mutation(path, entity.name, template.name, lines, before, after)


def _entities(path: Path) -> list[PythonEntity]:
    """Every function and class of the file, in the order of the syntax tree."""
    entities: list[PythonEntity] = []
    get_entities_from_file_py(entities, str(path))
    return entities


def _with(entity: PythonEntity, rewrite: BugRewrite, before: str) -> str:
    with TemporaryDirectory() as directory:
        copy = Path(directory, "copy.py")
        copy.write_text(before, encoding="utf-8")
        apply_code_change(replace(entity, file_path=str(copy)), rewrite)
        return copy.read_text(encoding="utf-8")
