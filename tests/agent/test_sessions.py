import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from patchwright import __version__
from patchwright.agent.sessions import Session, SessionStore
from patchwright.errors import RecordError
from patchwright.schema import trajectory
from patchwright.schema.events import MessageAdded, StepStarted, TextArrived
from patchwright.schema.messages import UserMessage

EVENTS = (
    MessageAdded(message=UserMessage(content="fix it: größe\u2028\x00\r\n")),
    StepStarted(step=1, prompt_tokens=10),
    TextArrived(text="…"),
)

APPENDING = """
import itertools, sys
from pathlib import Path
from patchwright.agent.sessions import SessionStore
from patchwright.schema.events import TextArrived

session = SessionStore(Path(sys.argv[1])).create(work_tree=Path("/tree"), task="t", profile="p", model="m")
print(session.id, flush=True)
for number in itertools.count(1):
    session.append(TextArrived(text=str(number)))
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions" / "sessions.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SessionStore]:
    with closing(SessionStore(path)) as opened:
        yield opened


def new_session(store: SessionStore, work_tree: str = "/tree") -> Session:
    return store.create(work_tree=Path(work_tree), task="fix it", profile="small", model="m")


def test_events_come_back_as_they_went_in(store: SessionStore, path: Path) -> None:
    session = new_session(store)
    for event in EVENTS:
        session.append(event)

    with closing(SessionStore(path)) as again:
        assert again.events(session.id) == EVENTS
        assert again.open(session.id).facts == session.facts


def test_resumed_session_goes_on_after_its_last_event(store: SessionStore, path: Path) -> None:
    session = new_session(store)
    session.append(EVENTS[0])

    with closing(SessionStore(path)) as again:
        again.open(session.id).append(EVENTS[1])

    assert store.events(session.id) == EVENTS[:2]


def test_only_the_owner_can_read_the_files(store: SessionStore, path: Path) -> None:
    new_session(store).append(EVENTS[0])

    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        f"sessions.sqlite{suffix}": 0o600 for suffix in ("", "-wal", "-shm")
    }


@pytest.mark.parametrize("count", [1, 40, 300])
def test_sigkill_loses_no_event_that_append_returned_for(path: Path, count: int) -> None:
    with subprocess.Popen([sys.executable, "-c", APPENDING, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        session_id = writer.stdout.readline().strip()
        shown = [int(writer.stdout.readline()) for _ in range(count)]
        os.kill(writer.pid, signal.SIGKILL)
        shown += [int(line) for line in writer.stdout if line.endswith("\n")]

    with closing(SessionStore(path)) as store:
        stored = [int(event.text) for event in store.events(session_id) if isinstance(event, TextArrived)]
    assert stored[: len(shown)] == shown == list(range(1, len(shown) + 1))
    assert len(stored) - len(shown) in (0, 1)  # one may be committed and not yet shown


def test_processes_that_start_and_write_at_once_do_not_disturb_each_other(path: Path) -> None:
    command = [sys.executable, "-c", APPENDING.replace("itertools.count(1)", "range(1, 201)"), str(path)]
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(lambda _: subprocess.check_output(command, text=True).split(), range(4)))

    with closing(SessionStore(path)) as store:
        assert {facts.id for facts in store.list()} == {output[0] for output in outputs}
        for session_id, *_ in outputs:
            assert store.events(session_id) == tuple(TextArrived(text=str(n)) for n in range(1, 201))


def test_latest_is_the_newest_of_that_work_tree(store: SessionStore) -> None:
    new_session(store, "/one")
    newer, other = new_session(store, "/one"), new_session(store, "/other")
    found = store.latest(Path("/one"))

    assert found is not None
    assert found.facts == newer.facts
    assert store.latest(Path("/nowhere")) is None
    assert store.list()[0] == other.facts


def test_trajectory_round_trips_through_its_file(store: SessionStore, tmp_path: Path) -> None:
    session = new_session(store)
    for event in EVENTS:
        session.append(event)

    exported = store.trajectory(session.id)
    trajectory.write(tmp_path / "run.jsonl", exported)

    assert exported.header.patchwright == __version__
    assert trajectory.read(tmp_path / "run.jsonl") == exported


def test_session_is_found_by_the_beginning_of_its_id_when_only_one_has_it(store: SessionStore) -> None:
    session = new_session(store)
    assert store.open(session.id[:-1]).facts == session.facts

    new_session(store)
    with pytest.raises(RecordError, match="several sessions begin with 20"):
        store.open("20")
    with pytest.raises(RecordError, match="no session %"):
        store.open("%")


def test_deleted_and_pruned_sessions_take_their_events_along(store: SessionStore) -> None:
    deleted, pruned = new_session(store), new_session(store)
    deleted.append(EVENTS[0])
    pruned.append(EVENTS[0])

    store.delete(deleted.id)
    assert (store.events(deleted.id), store.events(pruned.id)) == ((), EVENTS[:1])
    assert store.prune(max_age=timedelta(hours=1)) == 0
    assert store.prune(max_age=timedelta(0)) == 1
    assert (store.events(pruned.id), store.list()) == ((), ())


def test_event_of_a_deleted_session_is_refused(store: SessionStore) -> None:
    session = new_session(store)
    store.delete(session.id)

    with pytest.raises(RecordError, match="foreign key"):
        session.append(EVENTS[0])


def test_event_that_is_none_is_named_by_session_and_number(store: SessionStore, path: Path) -> None:
    session = new_session(store)
    session.append(EVENTS[1])
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO events VALUES (?, 2, ?)", [session.id, '{"kind":"step_started","step":1}'])

    with pytest.raises(RecordError, match=f"session {session.id}:2: step_started.prompt_tokens: field required"):
        store.events(session.id)


def test_another_format_is_refused_and_left_as_it_is(store: SessionStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA user_version = 7")

    with pytest.raises(RecordError, match="written in format 7; this version of Patchwright reads 1"):
        SessionStore(path)


@pytest.mark.parametrize("damage", [b"not a database at all, but a text file", b"SQLite format 3\0" + b"\xff" * 8000])
def test_damaged_file_is_refused_with_a_way_out(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)

    with pytest.raises(RecordError, match=r"sessions\.sqlite: ") as caught:
        SessionStore(path)

    assert caught.value.hint == "move the file away, and a new one is made"
    assert path.read_bytes() == damage


def test_lock_that_is_held_too_long_is_an_error_of_ours(store: SessionStore, path: Path) -> None:
    session = new_session(store)
    with (
        closing(SessionStore(path, busy_timeout_s=0.05)) as impatient,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordError, match="database is locked"):
            impatient.open(session.id).append(EVENTS[0])


def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("in the way")

    with pytest.raises(RecordError, match=r"sessions\.sqlite: (file exists|not a directory)"):
        SessionStore(tmp_path / "sessions" / "sessions.sqlite")
