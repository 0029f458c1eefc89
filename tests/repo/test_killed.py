"""A restore whose processes are killed with SIGKILL in the middle, for real."""

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from patchwright.repo.snapshot import last_run
from patchwright.repo.snapshots import Snapshots
from tests.repo.trees import state_of

FILES = 1500

RESTORE = """
import asyncio, sys
from pathlib import Path
from patchwright.repo.snapshots import Snapshots

async def main():
    snapshots = Snapshots(Path(sys.argv[1]), Path(sys.argv[2]))
    await snapshots.restore(await snapshots.find(sys.argv[3]))

asyncio.run(main())
"""


def kill_family(process: subprocess.Popen[bytes]) -> None:
    parent = psutil.Process(process.pid)
    for member in (*parent.children(recursive=True), parent):
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def wait_until_partly_restored(root: Path, process: subprocess.Popen[bytes], last: Path) -> bool:
    """Watch for the first removed file; False when the restore was over before it was seen."""
    while process.poll() is None:
        if not (root / "made" / "0").exists():
            return last.exists()
    return False


@pytest.mark.parametrize("git_too", [True, False], ids=["with its git", "leaving git behind"])
async def test_restore_that_was_killed_ends_right_when_it_is_run_again(
    root: Path, snapshots: Snapshots, store_dir: Path, git_too: bool
) -> None:
    (root / "made").mkdir()
    before = state_of(root)
    run = await snapshots.take("before run s")
    for number in range(FILES):
        (root / "made" / str(number)).write_text(f"{number}\n")
    (root / "kept.py").write_text("edited\n")
    await snapshots.take("after step 1")

    process = subprocess.Popen([sys.executable, "-c", RESTORE, str(root), str(store_dir), run.id])
    caught = await asyncio.to_thread(wait_until_partly_restored, root, process, root / "made" / "999")
    if git_too:
        kill_family(process)
    else:
        process.kill()
        process.wait()

    assert caught, "the restore was over before it could be killed"
    again = last_run(await snapshots.list())
    assert again == run
    await snapshots.restore(run)
    assert state_of(root) == before
