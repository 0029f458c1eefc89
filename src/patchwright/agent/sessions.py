"""Sessions: every run's events, in one SQLite file, there as soon as they have been shown."""

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from patchwright import __version__
from patchwright.errors import RecordError
from patchwright.schema.events import EVENT, AnyEvent
from patchwright.schema.record import Record, parse_line
from patchwright.schema.trajectory import Header, Trajectory

Row = tuple[str, ...]
Rows = list[Row]

_SCHEMA_VERSION = 1
_SCHEMA = f"""
PRAGMA journal_mode = wal;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    work_tree TEXT NOT NULL,
    task TEXT NOT NULL,
    profile TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_of_work_tree ON sessions (work_tree, created);
CREATE TABLE events (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA_VERSION};
"""
_APPEND = "INSERT INTO events SELECT ?1, coalesce(max(seq), 0) + 1, ?2 FROM events WHERE session = ?1"
_UNREADABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SessionFacts(Record):
    """What is known of a session besides its events. `created` is ISO 8601, UTC; `version` is Patchwright's."""

    id: str
    created: str
    work_tree: str
    task: str
    profile: str
    model: str
    version: str


class Session:
    """One session, open for its events to be added to."""

    def __init__(self, store: "SessionStore", facts: SessionFacts) -> None:
        self._store = store
        self.facts = facts

    @property
    def id(self) -> str:
        return self.facts.id

    def append(self, event: AnyEvent) -> None:
        """Add an event. It is committed when this returns, and SIGKILL does not lose it any more."""
        self._store.append(self.id, event)


class SessionStore:
    """The sessions of all work trees, in a file that only its owner can read.

    Several processes may use it at once. Everything raises RecordError: for a file that is damaged or was
    written by another version, and for SQLite's own complaints (disk full, locked for too long).
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 30) -> None:
        self._path = path
        with self._answering():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                _make(path)
            self._database = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
        self._prepare()

    def close(self) -> None:
        self._database.close()

    def create(self, *, work_tree: Path, task: str, profile: str, model: str) -> Session:
        now = datetime.now(UTC)
        facts = SessionFacts(
            id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
            created=now.isoformat(timespec="microseconds"),
            work_tree=_as_text(work_tree),
            task=task,
            profile=profile,
            model=model,
            version=__version__,
        )
        self._run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", facts.model_dump().values())
        return Session(self, facts)

    def open(self, session_id: str) -> Session:
        """The session with this id, or the only one whose id begins like this."""
        rows = self._run("SELECT * FROM sessions WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2", [session_id])
        if len(rows) != 1 or not session_id:
            problem = f"several sessions begin with {session_id}" if rows else f"no session {session_id}"
            raise RecordError(problem, hint="`patchwright session list` shows them")
        return Session(self, _facts(rows[0]))

    def list(self) -> tuple[SessionFacts, ...]:
        """All sessions, the newest first."""
        return tuple(_facts(row) for row in self._run("SELECT * FROM sessions ORDER BY created DESC, id DESC"))

    def latest(self, work_tree: Path) -> Session | None:
        """The newest session in this work tree."""
        query = "SELECT * FROM sessions WHERE work_tree = ? ORDER BY created DESC, id DESC LIMIT 1"
        rows = self._run(query, [_as_text(work_tree)])
        return Session(self, _facts(rows[0])) if rows else None

    def append(self, session_id: str, event: AnyEvent) -> None:
        self._run(_APPEND, [session_id, event.model_dump_json()])

    def events(self, session_id: str) -> tuple[AnyEvent, ...]:
        """The session's events in order. Raises RecordError with the session and number of one that is no event."""
        rows = self._run("SELECT seq, json FROM events WHERE session = ? ORDER BY seq", [session_id])
        where = f"{self._path}: session {session_id}"
        return tuple(parse_line(EVENT, json, where, seq) for seq, json in rows)

    def trajectory(self, session_id: str) -> Trajectory:
        facts = self.open(session_id).facts
        header = Header(id=facts.id, created=facts.created, patchwright=__version__)
        return Trajectory(header=header, events=self.events(facts.id))

    def delete(self, session_id: str) -> None:
        self._run("DELETE FROM sessions WHERE id = ?", [self.open(session_id).id])

    def prune(self, *, max_age: timedelta) -> int:
        """Delete sessions older than `max_age`; how many those were."""
        oldest = (datetime.now(UTC) - max_age).isoformat(timespec="microseconds")
        return len(self._run("DELETE FROM sessions WHERE created < ? RETURNING id", [oldest]))

    def _prepare(self) -> None:
        try:
            version = self._run("PRAGMA user_version")[0][0]
            if int(version) != _SCHEMA_VERSION:
                raise RecordError(
                    f"{self._path}: written in format {version}; this version of Patchwright reads {_SCHEMA_VERSION}",
                    hint="use the version that wrote it, or move the file away",
                )
            # In WAL mode a commit is safe from SIGKILL without waiting for the disk; only a power cut can lose it.
            self._run("PRAGMA synchronous = normal")
            self._run("PRAGMA foreign_keys = on")
        except RecordError:
            self._database.close()
            raise

    def _run(self, statement: str, values: Iterable[str] = ()) -> Sequence[tuple[Any, ...]]:
        with self._answering():
            return self._database.execute(statement, tuple(values)).fetchall()

    @contextmanager
    def _answering(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise RecordError(f"{self._path}: {(error.strerror or 'cannot be made').lower()}") from None
        except sqlite3.ProgrammingError:
            raise  # a mistake of ours, nothing that the file has to do with
        except sqlite3.DatabaseError as error:
            unreadable = error.sqlite_errorcode & 0xFF in _UNREADABLE
            hint = "move the file away, and a new one is made" if unreadable else None
            raise RecordError(f"{self._path}: {str(error).lower()}", hint=hint) from None


def _make(path: Path) -> None:
    """An empty store under its name. It is made aside, so that nobody finds half of one; whoever is first wins."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")  # mode 0600
    os.close(descriptor)
    aside = Path(name)
    try:
        with closing(sqlite3.connect(aside)) as database:
            database.executescript(_SCHEMA)
        with suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        aside.unlink()


def _facts(row: tuple[Any, ...]) -> SessionFacts:
    return SessionFacts(**dict(zip(SessionFacts.model_fields, row, strict=True)))


def _as_text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
