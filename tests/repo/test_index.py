import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest

from patchwright.errors import RepositoryError
from patchwright.repo.index import files
from patchwright.repo.index.index import Index

CACHE = '''"""A cache."""

class Cache:
    def get(self, key):
        """Return the entry, unless it has expired."""
        return self.load(key)

    def load(self, key):
        return read_entry(key)
'''
STORE = '''def read_entry(key):
    """Read from disk."""
    return open(key)

def warm(cache):
    cache.get("a")
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    write(root, "app/cache.py", CACHE)
    write(root, "app/store.py", STORE)
    write(root, "tests/test_cache.py", "def test_get():\n    'an expired entry'\n    Cache().get('a')\n")
    write(root, "web/main.js", "function expire() { clearTimeout(1) }\n")
    return root


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def paths(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def indexed(root: Path, database: Path) -> Index:
    index = Index(database)
    index.update(root, paths(root))
    return index


def called(found: object) -> list[tuple[str, str]]:
    return [(each.path, each.symbol.name) for each in found]  # pyright: ignore


def test_search_ranks_the_symbol_that_speaks_of_the_words_first(root: Path, tmp_path: Path):
    with indexed(root, tmp_path / "index") as index:
        hits = index.search("Entry is returned although it has EXPIRED", 10)
        assert called(found for found, _ in hits)[0] == ("app/cache.py", "Cache.get")
        assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)
        assert called(found for found, _ in index.search("clearTimeout", 10)) == [("web/main.js", "")]
        assert index.search("", 10) == index.search('"; -- )', 10) == index.search("unheard", 10) == ()


def test_search_can_leave_tests_out(root: Path, tmp_path: Path):
    with indexed(root, tmp_path / "index") as index:
        found = {each.path for each, _ in index.search("expired", 10)}
        assert found - {each.path for each, _ in index.search("expired", 10, tests=False)} == {"tests/test_cache.py"}


def test_a_symbol_is_found_by_each_end_of_its_dotted_name(root: Path, tmp_path: Path):
    with indexed(root, tmp_path / "index") as index:
        for name in ("get", "Cache.get", "cache.Cache.get", "app.cache.Cache.get"):
            assert called(index.named(name)) == [("app/cache.py", "Cache.get")]
        assert index.named("Store.get") == index.named("ache.get") == index.named("") == index.named("Get") == ()


def test_the_symbol_at_a_line_is_the_innermost(root: Path, tmp_path: Path):
    with indexed(root, tmp_path / "index") as index:
        found = [index.at("app/cache.py", line) for line in (1, 3, 6, 99)]
        assert called(each for each in found if each) == [
            ("app/cache.py", ""),
            ("app/cache.py", "Cache"),
            ("app/cache.py", "Cache.get"),
        ]
        assert found[3] is None


def test_calls_lead_both_ways(root: Path, tmp_path: Path):
    with indexed(root, tmp_path / "index") as index:
        (load,), (read_entry,) = index.named("load"), index.named("read_entry")
        assert called(index.callers(load)) == [("app/cache.py", "Cache.get")]
        assert called(index.callees(load)) == [("app/store.py", "read_entry")]
        assert called(index.callers(read_entry)) == [("app/cache.py", "Cache.load")]


def test_an_update_follows_what_is_changed_added_and_removed(root: Path, tmp_path: Path):
    with indexed(root, tmp_path / "index") as index:
        write(root, "app/cache.py", CACHE.replace("expired", "decayed"))
        write(root, "app/new.py", "def fresh(): pass\n")
        (root / "app/store.py").unlink()
        index.update(root, paths(root))
        assert called(index.named("fresh")) == [("app/new.py", "fresh")]
        assert called(found for found, _ in index.search("decayed", 5)) == [("app/cache.py", "Cache.get")]
        assert called(found for found, _ in index.search("expired", 5)) == [("tests/test_cache.py", "test_get")]
        assert index.named("read_entry") == index.symbols("app/store.py") == ()
        assert index.paths() == ("app/cache.py", "app/new.py", "tests/test_cache.py", "web/main.js")


def test_a_change_within_the_clock_s_grain_is_seen(root: Path, tmp_path: Path):
    with indexed(root, tmp_path / "index") as index:
        before = (root / "app/store.py").stat()
        write(root, "app/store.py", STORE.replace("warm", "heat"))
        os.utime(root / "app/store.py", ns=(before.st_atime_ns, before.st_mtime_ns))
        index.update(root, paths(root))
        assert called(index.named("heat")) == [("app/store.py", "heat")]


def test_links_prose_and_missing_files_are_left_out(root: Path, tmp_path: Path):
    (root / "linked.py").symlink_to(root / "app/cache.py")
    write(root, "README.md", "expired")
    with Index(tmp_path / "index") as index:
        index.update(root, ["linked.py", "README.md", "gone.py", "a\0b.py", "app", "app/store.py"])
        assert index.paths() == ("app/store.py",)


def test_what_one_index_wrote_the_next_one_reads(root: Path, tmp_path: Path):
    indexed(root, tmp_path / "kept/index").close()
    with Index(tmp_path / "kept/index") as index:
        assert len(index.named("read_entry")) == 1


@pytest.mark.parametrize("damage", [b"not a database", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_database_is_thrown_away_and_rebuilt(root: Path, tmp_path: Path, damage: bytes):
    (tmp_path / "index").write_bytes(damage)
    with indexed(root, tmp_path / "index") as index:
        assert len(index.named("read_entry")) == 1


def test_a_database_that_lost_its_middle_is_rebuilt(root: Path, tmp_path: Path):
    database = tmp_path / "index"
    indexed(root, database).close()
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with indexed(root, database) as index:
        assert len(index.named("read_entry")) == 1


def test_damage_that_shows_in_a_search_is_repaired(root: Path, tmp_path: Path):
    database = tmp_path / "index"
    indexed(root, database).close()
    with sqlite3.connect(database) as other:
        other.execute("UPDATE terms_data SET block = x'ff' WHERE id > 10")
    other.close()
    with indexed(root, database) as index:
        assert len(index.search("expired", 5)) == 2


def test_a_database_of_another_version_is_rebuilt(root: Path, tmp_path: Path):
    with sqlite3.connect(tmp_path / "index") as other:
        other.execute("CREATE TABLE files (something)")
        other.execute("PRAGMA user_version = 999")
    other.close()
    with indexed(root, tmp_path / "index") as index:
        assert len(index.named("read_entry")) == 1


def test_a_place_that_cannot_be_written_to_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RepositoryError, match="cannot be used"):
        Index(tmp_path / "file" / "index")


def test_many_files_are_read_by_two_processes_as_one_would(tmp_path: Path):
    for number in range(files.MANY_FILES):
        write(tmp_path / "tree", f"m{number}.py", f"def f{number}(): return g{number}()\n")
    with indexed(tmp_path / "tree", tmp_path / "index") as index:
        for number in range(files.MANY_FILES):
            assert called(index.named(f"f{number}")) == [(f"m{number}.py", f"f{number}")]


def update_in_process(root: Path, database: Path) -> None:
    with indexed(root, database) as index:
        assert len(index.named("read_entry")) == 1


def test_processes_that_update_at_once_agree(root: Path, tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=update_in_process, args=(root, tmp_path / "index")) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with Index(tmp_path / "index") as index:
        assert index.paths() == tuple(paths(root))
        assert len(index.named("read_entry")) == 1


@pytest.mark.parametrize("processes", [False, True])
def test_what_is_stopped_keeps_what_was_read_and_goes_on_the_next_time(
    root: Path, tmp_path: Path, processes: bool
) -> None:
    if processes:
        for number in range(files.MANY_FILES):
            write(root, f"many/module_{number}.py", STORE)
    with Index(tmp_path / "index.sqlite") as index:
        answers = iter([False, False])
        index.update(root, paths(root), lambda: next(answers, True))
        assert len(index.paths()) == 2
        index.update(root, paths(root))
        assert list(index.paths()) == paths(root)
