"""The index of a work tree: its symbols in a database that is searched by words, names, places and calls."""

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice, takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from patchwright.errors import RepositoryError
from patchwright.lock import locked
from patchwright.repo.index.files import File, Read, Stamp, changed_files, read_files, stamps_of
from patchwright.repo.index.symbols import Symbol
from patchwright.repo.index.terms import terms_of
from patchwright.repo.testing.files import is_test
from patchwright.schema.record import Record

QUERY_TERMS = 48
"""How many terms of a text are searched for: the most telling ones that the index knows."""
READ_TERMS = 20_000
"""How many terms of a text are considered at all."""
COLUMN_WEIGHTS = (2.0, 4.0, 2.0, 1.0)
"""What a word counts for in the path, the name, the signature, the body."""
COMMON_SHARE = 0.25
"""A term that more of the symbols have than this tells nothing, unless there is no other."""
TERMS_IN_MEMORY_BYTES = 32_000_000
"""FTS5's own megabyte makes it write and merge many small pieces of a large repository."""
BUSY_TIMEOUT_S = 120.0
"""How long to wait for another process that is updating the same index."""

_SCHEMA_VERSION = 2
_SCHEMA = f"""
CREATE TABLE root (path TEXT NOT NULL) STRICT;
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    hash BLOB NOT NULL,
    test INTEGER NOT NULL
) STRICT;
CREATE TABLE symbols (
    id INTEGER PRIMARY KEY,
    file INTEGER NOT NULL,
    last_name TEXT NOT NULL,
    start_line INTEGER NOT NULL,
    end_line INTEGER NOT NULL,
    symbol TEXT NOT NULL
) STRICT;
CREATE INDEX symbols_of_file ON symbols (file, start_line);
CREATE INDEX symbols_of_name ON symbols (last_name);
CREATE TABLE calls (name TEXT NOT NULL, symbol INTEGER NOT NULL, PRIMARY KEY (name, symbol)) STRICT, WITHOUT ROWID;
CREATE INDEX calls_of_symbol ON calls (symbol);
CREATE VIRTUAL TABLE terms USING fts5(path, name, signature, body, tokenize = "unicode61 tokenchars '_'");
INSERT INTO terms (terms, rank) VALUES ('hashsize', {TERMS_IN_MEMORY_BYTES});
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(terms, row);
PRAGMA user_version = {_SCHEMA_VERSION};
"""
_SYMBOL = "SELECT files.path, symbols.symbol FROM symbols JOIN files ON files.id = symbols.file "
_UNUSABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Row = tuple[Any, ...]
T = TypeVar("T")


class Indexed(Record):
    """A symbol and the file that it is in, relative to the work tree."""

    path: str
    symbol: Symbol


class Index:
    """What is known of one work tree, kept in a file that is thrown away when it is damaged or of another version.

    Several processes may use the file at once. Everything raises RepositoryError for SQLite's complaints
    (disk full, locked for too long).
    """

    def __init__(self, database: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = database
        self._busy_timeout_s = busy_timeout_s
        self._wanted: tuple[Path, Sequence[str], Callable[[], bool]] | None = None
        with self._answering():
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = self._open()

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, root: Path, files: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> None:
        """Bring the index to what `files`, relative to `root`, hold now; other files vanish from it.

        A file is read when its time or size has changed, parsed when its content has. Once `stopped`, asked after each
        file, the others are left for the next time.
        """
        self._wanted = (root, files, stopped)
        self._surviving_damage(lambda: self._update(root, files, stopped))

    def search(self, text: str, limit: int, *, tests: bool = True) -> tuple[tuple[Indexed, float], ...]:
        """The symbols whose words are most like those of `text`, best first, with their BM25 score, above zero.

        tests: whether symbols in test files may be among them.
        """
        terms = self._telling_terms(text)
        if not terms:
            return ()
        weights = ", ".join(map(str, COLUMN_WEIGHTS))
        only = "" if tests else "AND NOT files.test"
        rows = self._all(
            f"SELECT files.path, symbols.symbol, -bm25(terms, {weights}) AS score FROM terms "
            "JOIN symbols ON symbols.id = terms.rowid JOIN files ON files.id = symbols.file "
            f"WHERE terms MATCH ? {only} ORDER BY score DESC, symbols.id LIMIT ?",
            [" OR ".join(f'"{term}"' for term in terms), limit],
        )
        return tuple((_indexed(path, symbol), score) for path, symbol, score in rows)

    def named(self, identifier: str) -> tuple[Indexed, ...]:
        """The functions and classes of this name, whole or at its end: `get`, `Cache.get`, `package.module.Cache.get`.

        Of the part before the last name as much is asked for as the symbol's own name and path can answer.
        """
        last_name = identifier.rpartition(".")[2]
        if not last_name:
            return ()
        found = self._symbols("WHERE symbols.last_name = ? ORDER BY files.path, symbols.id", [last_name])
        return tuple(each for each in found if f".{_dotted(each)}".endswith(f".{identifier}"))

    def at(self, path: str, line: int) -> Indexed | None:
        """The innermost symbol that covers the line."""
        found = self._symbols(
            "WHERE files.path = ? AND ? BETWEEN start_line AND end_line "
            "ORDER BY end_line - start_line, symbols.id DESC LIMIT 1",
            [path, line],
        )
        return found[0] if found else None

    def paths(self) -> tuple[str, ...]:
        """All indexed files, in order of name."""
        return tuple(path for (path,) in self._all("SELECT path FROM files ORDER BY path", []))

    def symbols(self, path: str) -> tuple[Indexed, ...]:
        """The symbols of a file in order of appearance, the module first."""
        return self._symbols("WHERE files.path = ? ORDER BY symbols.id", [path])

    def callers(self, found: Indexed) -> tuple[Indexed, ...]:
        """The symbols that call something of this name, itself left out. A class is called by `__init__` too."""
        *around, last_name = found.symbol.name.split(".")
        name = around[-1] if around and last_name == "__init__" else last_name
        callers = self._symbols(
            "JOIN calls ON calls.symbol = symbols.id WHERE calls.name = ? ORDER BY files.path, symbols.id", [name]
        )
        return tuple(caller for caller in callers if caller != found)

    def callees(self, found: Indexed) -> tuple[Indexed, ...]:
        """The symbols whose names it calls, itself left out; several where several have the name."""
        callees = (callee for name in found.symbol.calls for callee in self.named(name))
        return tuple(callee for callee in callees if callee != found)

    def _telling_terms(self, text: str) -> list[str]:
        """Of the terms that the index knows, the rare and the repeated: log tf · idf."""
        (symbols,) = self._all("SELECT count(*) FROM symbols", [])[0]
        repeats = Counter(islice(terms_of(text), READ_TERMS))
        known = {term: count for term in repeats if (count := self._count(term))}
        telling = [term for term in known if known[term] <= COMMON_SHARE * symbols] or list(known)

        def weight(term: str) -> float:
            return (1 + math.log(repeats[term])) * math.log(1 + symbols / known[term])

        return sorted(telling, key=weight, reverse=True)[:QUERY_TERMS]

    def _count(self, term: str) -> int:
        rows = self._all("SELECT doc FROM vocabulary WHERE term = ?", [term])
        return rows[0][0] if rows else 0

    def _symbols(self, rest: str, values: Sequence[object]) -> tuple[Indexed, ...]:
        return tuple(_indexed(path, symbol) for path, symbol in self._all(_SYMBOL + rest, values))

    def _all(self, query: str, values: Sequence[object]) -> list[Row]:
        return self._surviving_damage(lambda: self._fetched(query, values))

    def _surviving_damage(self, action: Callable[[], T]) -> T:
        """Damage may show in any page that is read: then the index is made anew of what it was last brought to."""
        with self._answering():
            try:
                return action()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._start_over()
                return action()

    def _fetched(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        return self._database.execute(query, values).fetchall()

    def _update(self, root: Path, files: Sequence[str], stopped: Callable[[], bool]) -> None:
        """The first look takes no lock, for mostly nothing has changed; the second decides."""
        stamps = stamps_of(root, files)
        known = self._known(root)
        if not changed_files(stamps, known) and not known.keys() - stamps.keys():
            return
        with self._transaction():
            known = self._known(root)
            self._remove(known.keys() - stamps.keys())
            changed = {path: stamps[path] for path in changed_files(stamps, known)}
            with closing(read_files(root, changed, known)) as reads:
                for read in takewhile(lambda _: not stopped(), reads):
                    self._store(read)
            self._database.execute("DELETE FROM root")
            self._database.execute("INSERT INTO root VALUES (?)", [str(root)])

    def _known(self, root: Path) -> dict[str, File]:
        """Of another work tree the contents are known, but no times."""
        here = self._fetched("SELECT path FROM root") == [(str(root),)]
        rows = self._fetched("SELECT path, mtime_ns, size, hash FROM files")
        return {path: File(Stamp(mtime_ns if here else 0, size), content) for path, mtime_ns, size, content in rows}

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._forget(path)
            self._database.execute("DELETE FROM files WHERE path = ?", [path])

    def _forget(self, path: str) -> None:
        ids = self._fetched("SELECT symbols.id FROM symbols JOIN files ON files.id = file WHERE path = ?", [path])
        for table, column in (("terms", "rowid"), ("calls", "symbol"), ("symbols", "id")):
            self._database.executemany(f"DELETE FROM {table} WHERE {column} = ?", ids)

    def _store(self, read: Read) -> None:
        if read.rows is not None:
            self._forget(read.path)
        file = self._database.execute(
            "INSERT INTO files (path, mtime_ns, size, hash, test) VALUES (?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE "
            "SET mtime_ns = excluded.mtime_ns, size = excluded.size, hash = excluded.hash RETURNING id",
            [read.path, *read.stamp, read.hash, is_test(read.path)],
        ).fetchone()[0]
        for row in read.rows or ():
            values = [file, row.last_name, row.start_line, row.end_line, row.symbol]
            symbol = self._database.execute(
                "INSERT INTO symbols (file, last_name, start_line, end_line, symbol) VALUES (?, ?, ?, ?, ?)", values
            ).lastrowid
            terms = "INSERT INTO terms (rowid, path, name, signature, body) VALUES (?, ?, ?, ?, ?)"
            self._database.execute(terms, [symbol, *row.terms])
            self._database.executemany("INSERT INTO calls VALUES (?, ?)", [(name, symbol) for name in row.calls])

    def _open(self) -> sqlite3.Connection:
        """One process at a time: two that make the file, or throw it away, would break each other's."""
        with self._opening():
            try:
                database = self._prepared()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._throw_away()
                database = self._prepared()
            self._opened = self._path.stat().st_ino
        return database

    def _prepared(self) -> sqlite3.Connection:
        """A connection to a database of our version; one of another version is thrown away."""
        database = sqlite3.connect(
            self._path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                database.executescript(f"PRAGMA journal_mode = wal; BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            database.execute("PRAGMA synchronous = normal")
        except BaseException:
            database.close()
            raise
        if version in {0, _SCHEMA_VERSION}:
            return database
        database.close()
        self._throw_away()
        return self._prepared()

    def _start_over(self) -> None:
        """Another process may have found the damage first: then its file is as good as ours."""
        self._database.close()
        with self._opening():
            if not self._path.exists() or self._path.stat().st_ino == self._opened:
                self._throw_away()
        self._database = self._open()
        if self._wanted:
            self._update(*self._wanted)

    def _throw_away(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    @contextmanager
    def _opening(self) -> Generator[None]:
        with locked(self._path.with_name(self._path.name + ".lock")):
            yield

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _answering(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise RepositoryError(
                f"the index {self._path} cannot be used: {str(error).lower()}",
                hint="it holds nothing but what is in the repository: delete the file, then try again",
            ) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """SQLite's code is in the lowest byte; FTS5 says `SQLITE_CORRUPT_VTAB`. Python's own complaints have no code."""
    return not isinstance(error, sqlite3.ProgrammingError) and error.sqlite_errorcode & 0xFF in _UNUSABLE


def _indexed(path: str, symbol: str) -> Indexed:
    return Indexed(path=path, symbol=Symbol.model_validate_json(symbol))


def _dotted(found: Indexed) -> str:
    """`package/module.py`, `Cache.get` as `package.module.Cache.get`."""
    module = found.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return f"{module}.{found.symbol.name}"
