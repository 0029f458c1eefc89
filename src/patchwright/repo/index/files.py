"""Reading a work tree's files for the index: which have changed, and what they hold."""

import hashlib
import multiprocessing
import os
import stat
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from patchwright.repo.index.symbols import LARGEST_BYTES, Symbol, symbols_of, text_symbols
from patchwright.repo.index.terms import terms_of, terms_of_words

PYTHON = {".py", ".pyi", ".pyw"}
PROSE = {".md", ".rst", ".txt", ".po", ".pot", ".csv", ".tsv", ".json", ".jsonl", ".svg", ".lock", ".html", ".ipynb"}
"""Files with these endings are not indexed: they speak of the code, or are data."""
PROCESSES = 2
MANY_FILES = 200
"""So many files to read are worth processes of their own."""

_SETTLED_NS = 2_000_000_000
_CHUNK_FILES = 16


class Stamp(NamedTuple):
    mtime_ns: int
    """0: not to be trusted, for the file had only just been written."""
    size_bytes: int


class File(NamedTuple):
    """What the index has of a file."""

    stamp: Stamp
    hash: bytes


class SymbolRow(NamedTuple):
    """A symbol as it is stored; `terms`: of its path, name, signature and body."""

    last_name: str
    start_line: int
    end_line: int
    symbol: str
    terms: tuple[str, str, str, str]
    calls: tuple[str, ...]


class Read(NamedTuple):
    """A file as it was read; `rows` is None where the index already has this content."""

    path: str
    stamp: Stamp
    hash: bytes
    rows: list[SymbolRow] | None


class _Task(NamedTuple):
    root: str
    path: str
    stamp: Stamp
    known_hash: bytes | None


def stamps_of(root: Path, files: Iterable[str]) -> dict[str, Stamp]:
    """Of those that are files worth indexing: no links, none too large, no prose, none with a name that is not text."""
    stamps: dict[str, Stamp] = {}
    for file in files:
        if PurePosixPath(file).suffix.lower() in PROSE:
            continue
        try:
            file.encode()
            status = os.lstat(f"{root}/{file}")
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_BYTES:
            stamps[file] = Stamp(status.st_mtime_ns, status.st_size)
    return stamps


def changed_files(stamps: Mapping[str, Stamp], known: Mapping[str, File]) -> list[str]:
    return [path for path, stamp in stamps.items() if path not in known or known[path].stamp != stamp]


def read_files(root: Path, stamps: Mapping[str, Stamp], known: Mapping[str, File]) -> Generator[Read]:
    """The files as they are now, in any order; those that cannot be read are left out. Closed, it soon ends."""
    tasks = [
        _Task(str(root), path, stamp, known[path].hash if path in known else None) for path, stamp in stamps.items()
    ]
    done: set[str] = set()
    if len(tasks) >= MANY_FILES:
        try:
            with closing(_read_in_processes(tasks)) as reads:
                for read in reads:
                    done.add(read.path)
                    yield read
        except BrokenProcessPool:
            pass  # a worker was killed, or cannot start here: the rest is read in this process
    yield from _present(_read(task) for task in tasks if task.path not in done)


def _read_in_processes(tasks: Sequence[_Task]) -> Generator[Read]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield from _present(pool.map(_read, tasks, chunksize=_CHUNK_FILES))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """A killed parent leaves its workers waiting for work forever."""
    parent = multiprocessing.parent_process()
    if parent:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _present(reads: Iterable[Read | None]) -> Iterator[Read]:
    return (read for read in reads if read)


def _read(task: _Task) -> Read | None:
    try:
        source = Path(task.root, task.path).read_bytes()
    except OSError:
        return None
    content_hash = hashlib.blake2b(source, digest_size=16).digest()
    settled = time.time_ns() - task.stamp.mtime_ns > _SETTLED_NS
    stamp = task.stamp if settled else Stamp(0, task.stamp.size_bytes)
    same = content_hash == task.known_hash
    return Read(task.path, stamp, content_hash, None if same else _rows(task.path, source))


def _rows(path: str, source: bytes) -> list[SymbolRow]:
    is_python = PurePosixPath(path).suffix.lower() in PYTHON
    path_terms = " ".join(terms_of(path.removesuffix(".py")))
    symbols = symbols_of(source) if is_python else text_symbols(source)
    return [_row(symbol, path_terms) for symbol in symbols]


def _row(symbol: Symbol, path_terms: str) -> SymbolRow:
    body = terms_of_words(symbol.identifiers)
    terms = (path_terms, " ".join(terms_of(symbol.name)), " ".join(terms_of(symbol.signature)), " ".join(body))
    return SymbolRow(
        symbol.last_name, symbol.start_line, symbol.end_line, symbol.model_dump_json(), terms, symbol.calls
    )
