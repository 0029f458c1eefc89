"""Benchmarks by URL: from real repositories and over real HTTP, fetched once, whole or not at all, and hidden."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from patchwright.errors import BenchmarkError, PatchwrightError, RecordError
from patchwright.evals.exercises import Exercises
from patchwright.evals.origins import LARGEST_FILE_BYTES, fetch_file
from patchwright.evals.registry import Places, benchmark_named
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from tests.conftest import git
from tests.engines.waiting import wait_until
from tests.evals.lookalikes import exercism_checkout, humanevalfix_file, quixbugs_checkout
from tests.models.hub_server import HubServer, serve

CHECKOUTS: dict[str, Callable[[Path], Path]] = {
    "exercism": exercism_checkout,
    "polyglot": lambda root: exercism_checkout(root, "python/exercises/practice"),
    "quixbugs": quixbugs_checkout,
}
FETCH = """
import asyncio
import signal
import sys
from pathlib import Path

from patchwright.evals.registry import Places, benchmark_named
from patchwright.sandbox.settings import SandboxSettings

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it

async def main():
    places = Places("/usr/bin:/bin", Path(sys.argv[2]), None, SandboxSettings())
    print(len(benchmark_named(sys.argv[1], places).instances()))

asyncio.run(main())
"""


def places_in(directory: Path) -> Places:
    return Places(os.environ["PATH"], directory, None, SandboxSettings())


def named(reference: str, data: Path) -> Exercises:
    benchmark = benchmark_named(reference, places_in(data))
    assert isinstance(benchmark, Exercises)
    return benchmark


def committed(root: Path) -> str:
    """The hash of a commit of all that lies there."""
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=more")
    return git(root, "rev-parse", "HEAD").strip()


def another_bug(origin: Path) -> str:
    """The commit in which the program has it."""
    (origin / "python_programs" / "double.py").write_text("def double(n):\n    return n * n * n\n")
    return committed(origin)


def program(benchmark: Exercises) -> str:
    return benchmark.exercises[0].files["python_programs/double.py"]


def kept(data: Path) -> list[str]:
    """What counts as fetched."""
    return sorted(path.name for path in (data / "checkouts").iterdir() if not path.name.startswith("."))


def left_over(data: Path) -> list[Path]:
    return list((data / "checkouts").glob(".*.partial-*"))


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    root = quixbugs_checkout(tmp_path / "QuixBugs")
    committed(root)
    return root


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[HubServer]:
    """HumanEvalPack at /storage/rows.jsonl, and at /rows.jsonl by a redirection to another origin."""
    file = humanevalfix_file(tmp_path / "rows.jsonl")
    with serve(HubServer({"rows.jsonl": file.read_bytes()})) as server:
        yield server


@pytest.mark.parametrize("name", CHECKOUTS)
def test_a_repository_is_fetched_once(tmp_path: Path, name: str) -> None:
    origin = CHECKOUTS[name](tmp_path / "origin.git")
    committed(origin)
    reference, data = f"{name}:file://{origin}", tmp_path / "data"
    first = named(reference, data)
    origin.rename(tmp_path / "gone")
    assert named(reference, data).exercises == first.exercises
    assert first.exercises == named(f"{name}:{tmp_path / 'gone'}", data).exercises
    (place,) = kept(data)
    assert place.startswith("origin-")


def test_a_file_is_fetched_once(tmp_path: Path, rows: HubServer) -> None:
    for address in (f"humanevalfix:{rows.url}/rows.jsonl", f"humanevalfix:{rows.url}/storage/rows.jsonl?download=true"):
        first = named(address, tmp_path / "data")
        assert named(address, tmp_path / "data").exercises == first.exercises
    assert first.exercises == named(f"humanevalfix:{tmp_path / 'rows.jsonl'}", tmp_path / "data").exercises
    assert len(rows.fetches) == 2


def test_what_was_fetched_stays_what_it_was(tmp_path: Path, origin: Path) -> None:
    first = named(f"quixbugs:file://{origin}", tmp_path / "data")
    another_bug(origin)
    assert program(named(f"quixbugs:file://{origin}", tmp_path / "data")) == program(first)
    assert "n * n * n" in program(named(f"quixbugs:file://{origin}", tmp_path / "other"))


def test_a_revision_is_a_tag_a_branch_or_a_whole_hash(tmp_path: Path, origin: Path) -> None:
    git(origin, "tag", "--annotate", "--message=first", "v1.0")
    git(origin, "branch", "old")
    git(origin, "branch", "feature/x")
    before = git(origin, "rev-parse", "HEAD").strip()
    names = ("v1.0", "old", "feature/x")
    after = another_bug(origin)
    address, data = f"quixbugs:file://{origin}", tmp_path / "data"
    assert all("n + n + 1" in program(named(f"{address}@{name}", data)) for name in (*names, before))
    assert "n * n * n" in program(named(f"{address}@{after}", data))
    assert len(kept(data)) == 5
    with pytest.raises(BenchmarkError, match="couldn't find remote ref v2"):
        named(f"{address}@v2", data)


def test_an_at_before_the_path_or_before_a_revision_is_part_of_the_address(tmp_path: Path, origin: Path) -> None:
    at_work = origin.rename(tmp_path / "me@work")
    assert "n + n + 1" in program(named(f"quixbugs:file://{at_work}@HEAD", tmp_path / "data"))
    for reference in ("http://me@127.0.0.1:9/feature/x", "ssh://me@127.0.0.1:9/feature/x"):
        with pytest.raises(
            BenchmarkError, match=r"//127.0.0.1:9/feature/x cannot be fetched: .*([Cc]onnect|refused|cannot run ssh)"
        ):
            named(f"quixbugs:{reference}", tmp_path / "data")


def test_a_checkout_has_one_commit_and_no_link_out_of_it(tmp_path: Path, origin: Path) -> None:
    (origin / "correct_python_programs" / "double.py").unlink()
    (origin / "correct_python_programs" / "double.py").symlink_to("/etc/passwd")
    head = another_bug(origin)
    benchmark = named(f"quixbugs:file://{origin}", tmp_path / "data")
    (place,) = (tmp_path / "data" / "checkouts" / name for name in kept(tmp_path / "data"))
    assert git(place, "rev-list", "--all", "HEAD").split() == [head]
    assert not (place / "correct_python_programs" / "double.py").is_symlink()
    assert "root:" not in benchmark.instances()[0].patch


def test_many_at_once_fetch_it_once(tmp_path: Path, rows: HubServer) -> None:
    rows.hold = Event()
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(named, f"humanevalfix:{rows.url}/rows.jsonl", tmp_path / "data") for _ in range(4)]
        wait_until(lambda: bool(rows.fetches))
        rows.hold.set()
        assert len({repr(each.result().instances()) for each in found}) == 1
    assert (len(rows.fetches), len(kept(tmp_path / "data"))) == (1, 1)


def test_processes_that_fetch_a_repository_at_once_both_have_it(tmp_path: Path, origin: Path) -> None:
    command = [sys.executable, "-c", FETCH, f"quixbugs:file://{origin}", str(tmp_path / "data")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in running] == ["1\n", "1\n"]
    assert (len(kept(tmp_path / "data")), left_over(tmp_path / "data")) == (1, [])


def test_what_a_killed_process_left_does_not_count_and_goes(tmp_path: Path, rows: HubServer) -> None:
    rows.hold, data = Event(), tmp_path / "data"
    reference = f"humanevalfix:{rows.url}/rows.jsonl"
    with subprocess.Popen([sys.executable, "-c", FETCH, reference, str(data)]) as process:
        wait_until(lambda: bool(rows.fetches), timeout_s=60)
        process.send_signal(signal.SIGKILL)
    rows.hold.set()
    assert (kept(data), len(left_over(data))) == ([], 1)
    assert len(named(reference, data).instances()) == 1
    assert (len(kept(data)), left_over(data)) == (1, [])


def test_half_a_checkout_is_none(tmp_path: Path, origin: Path) -> None:
    named(f"quixbugs:file://{origin}", tmp_path / "data")
    (whole,) = kept(tmp_path / "data")
    (tmp_path / "data" / "checkouts" / whole).rename(tmp_path / "whole")
    half = tmp_path / "data" / "checkouts" / f".{whole}.partial-abc" / whole
    half.mkdir(parents=True)
    git(half, "init", "--quiet")
    assert len(named(f"quixbugs:file://{origin}", tmp_path / "data").instances()) == 1
    assert left_over(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("reference", "word"),
    [
        ("quixbugs:file:///nowhere/QuixBugs", "does not appear to be a git repository"),
        ("quixbugs:http://me:secret@127.0.0.1:9/QuixBugs", "[Cc]ould ?n.t connect|[Ff]ailed to connect"),
        ("quixbugs:http://HOST/QuixBugs", "terminal prompts disabled"),
        ("quixbugs:ftp://HOST/QuixBugs", "does not begin with https://, http://, ssh://"),
        ("humanevalfix:http://HOST/nothing.jsonl", "status 401"),
        ("humanevalfix:http://127.0.0.1:9/rows.jsonl", "refused"),
        ("humanevalfix:http://[/rows.jsonl", "cannot be fetched"),
        ("humanevalfix:file:///rows.jsonl", "does not begin with https://, http://$"),
    ],
)
def test_an_origin_that_gives_nothing_is_a_clear_word(
    tmp_path: Path, rows: HubServer, reference: str, word: str
) -> None:
    rows.token = "secret"
    with pytest.raises(BenchmarkError, match=word) as caught:
        named(reference.replace("http://HOST", rows.url), tmp_path / "data")
    assert caught.value.hint
    assert "secret" not in str(caught.value)
    assert (kept(tmp_path / "data"), left_over(tmp_path / "data")) == ([], [])


@pytest.mark.parametrize(
    ("content", "error", "word"),
    [
        (b"x" * (LARGEST_FILE_BYTES + 1), BenchmarkError, "rows.jsonl cannot be fetched: it has more than 32 MiB"),
        (b"\xff\n", BenchmarkError, "rows.jsonl cannot be fetched: it is not UTF-8 text"),
        (b"", BenchmarkError, r"http://\S+/rows.jsonl has no rows"),
        (b"<html>\n", RecordError, r"^http://\S+/rows.jsonl:1: "),
    ],
)
def test_a_file_of_something_else_is_not_kept(
    tmp_path: Path, rows: HubServer, content: bytes, error: type[PatchwrightError], word: str
) -> None:
    right, rows.files["rows.jsonl"] = rows.files["rows.jsonl"], content
    with pytest.raises(error, match=word):
        named(f"humanevalfix:{rows.url}/rows.jsonl", tmp_path / "data")
    assert kept(tmp_path / "data") == []
    rows.files["rows.jsonl"] = right
    assert len(named(f"humanevalfix:{rows.url}/rows.jsonl", tmp_path / "data").instances()) == 1


def test_a_file_that_breaks_off_is_not_kept(tmp_path: Path, rows: HubServer) -> None:
    rows.cuts.append(20)
    with pytest.raises(BenchmarkError, match="cannot be fetched"):
        named(f"humanevalfix:{rows.url}/rows.jsonl", tmp_path / "data")
    assert kept(tmp_path / "data") == []


def test_a_repository_of_something_else_is_not_kept(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(BenchmarkError, match=rf"^file://{origin}/exercises/practice holds no exercises") as caught:
        named(f"exercism:file://{origin}", tmp_path / "data")
    assert "https://github.com/exercism/python" in (caught.value.hint or "")
    assert kept(tmp_path / "data") == []


@pytest.mark.parametrize(
    "place",
    [
        "ext::sh -c touch% MARK",
        "ext::sh -c touch% MARK ://x",
        "--upload-pack=touch MARK;",
        "file://ORIGIN@--upload-pack=touch MARK;",
        "ssh://-oProxyCommand=touch%20MARK/QuixBugs",
        "fd::17",
    ],
)
def test_a_url_starts_no_program(tmp_path: Path, origin: Path, place: str) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(BenchmarkError):
        named(f"quixbugs:{place.replace('MARK', str(mark)).replace('ORIGIN', str(origin))}", tmp_path / "data")
    assert not mark.exists()


def test_a_transport_that_is_not_named_is_not_followed_either(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anybody's configuration, in which a URL may stand for another."""
    mark = tmp_path / "mark"
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(f'[url "ext::sh -c touch% {mark} "]\n\tinsteadOf = file://\n')
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert len(named(f"quixbugs:file://{origin}", tmp_path / "data").instances()) == 1
    assert not mark.exists()


def test_without_git_it_says_so(tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchmarkError, match="git is not installed"):
        named(f"quixbugs:file://{origin}", tmp_path / "data")


def test_ctrl_c_ends_a_fetch_that_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # never answers
        reference = f"quixbugs:git://127.0.0.1:{server.getsockname()[1]}/QuixBugs"
        command = [sys.executable, "-c", FETCH, reference, str(tmp_path / "data")]
        with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = server.accept()
            with connection:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    _, stderr = process.communicate(timeout=60)
                finally:
                    process.kill()
    assert stderr.endswith("KeyboardInterrupt\n")
    assert (kept(tmp_path / "data"), left_over(tmp_path / "data")) == ([], [])


def test_the_first_ctrl_c_ends_the_fetch_of_a_file(tmp_path: Path, rows: HubServer) -> None:
    rows.hold = Event()
    command = [sys.executable, "-c", FETCH, f"humanevalfix:{rows.url}/rows.jsonl", str(tmp_path / "data")]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: bool(rows.fetches), timeout_s=60)
        process.send_signal(signal.SIGINT)
        try:
            _, stderr = process.communicate(timeout=10)
        finally:
            process.kill()
    assert stderr.endswith("KeyboardInterrupt\n")
    assert (kept(tmp_path / "data"), left_over(tmp_path / "data")) == ([], [])


def test_a_file_that_trickles_in_has_a_time_limit(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        over = Event()
        pool.submit(trickle, server, over)
        with pytest.raises(BenchmarkError, match=r"rows\.jsonl cannot be fetched: it has taken more than 0\.3 s"):
            fetch_file(f"http://127.0.0.1:{server.getsockname()[1]}/rows.jsonl", tmp_path / "rows.jsonl", timeout_s=0.3)
        over.set()
    assert not (tmp_path / "rows.jsonl").exists()


def trickle(server: socket.socket, over: Event) -> None:
    """Sends a file without an end, by the byte, for 20 seconds at most."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            connection.sendall(b" ")
            if over.wait(0.1):
                return


async def test_the_sandbox_hides_all_that_was_fetched(
    pytestconfig: pytest.Config, tmp_path: Path, origin: Path
) -> None:
    """In a place that a sandbox shows if nobody tells it not to, unless the tests themselves lie in a hidden one."""
    shown = pytestconfig.rootpath / ".pytest_cache"
    shown.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shown) as directory:
        data = Path(directory)
        benchmark, again = named(f"quixbugs:file://{origin}", data), named(f"quixbugs:file://{origin}@main", data)
        fetched = [data / "checkouts" / name for name in kept(data)]
        assert [(place / ".git" / "HEAD").exists() for place in fetched] == [True, True]
        for each in (benchmark, again, named(f"quixbugs:{origin}", data)):
            workspace = await each.prepare(each.instances()[0], Path(tempfile.mkdtemp(dir=tmp_path)))
            settings = SandboxSettings(hidden=workspace.hidden)
            async with open_sandbox("bubblewrap", workspace.tree, settings) as sandbox:
                run = await sandbox.run(f"ls {' '.join(map(str, fetched))}", timeout_s=30)
                assert run.output.count("No such file or directory") == 2
