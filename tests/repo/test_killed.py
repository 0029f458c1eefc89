"""A restore whose processes are killed with SIGKILL in the middle, for real."""

import asyncio
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from patchwright.repo.snapshot import last_run
from patchwright.repo.snapshots import Snapshots
from tests.repo.trees import state_of

FILES = 1500
ATTEMPTS = 20

RESTORE = """
import asyncio, sys
from pathlib import Path
from patchwright.repo.snapshots import Snapshots

async def main():
    snapshots = Snapshots(Path(sys.argv[1]), Path(sys.argv[2]))
    await snapshots.restore(await snapshots.find(sys.argv[3]))

asyncio.run(main())
"""


def kill_half_way(command: list[str], made: Path, git_too: bool) -> bool:
    """Kill the restore when it has removed the first file of `made`, and not the last; False if that was missed."""
    half_way = False
    with subprocess.Popen(command) as process, suppress(psutil.NoSuchProcess):
        restore = psutil.Process(process.pid)
        while (made / "0").exists() and process.poll() is None:
            time.sleep(0.0002)
        restore.suspend()  # once the last file is gone it would write into its log that it is done
        half_way = (made / "999").exists()
        for member in (*(restore.children(recursive=True) if git_too else ()), restore):
            with suppress(psutil.NoSuchProcess):
                member.kill()
    return half_way


@pytest.mark.parametrize("git_too", [True, False], ids=["with its git", "leaving git behind"])
async def test_restore_that_was_killed_ends_right_when_it_is_run_again(
    root: Path, snapshots: Snapshots, store_dir: Path, git_too: bool
) -> None:
    before = state_of(root)
    for _ in range(ATTEMPTS):
        run = await snapshots.take("before run s")
        (root / "made").mkdir()
        for number in range(FILES):
            (root / "made" / str(number)).write_text(f"{number}\n")
        (root / "kept.py").write_text("edited\n")
        await snapshots.take("after step 1")
        command = [sys.executable, "-c", RESTORE, str(root), str(store_dir), run.id]
        if await asyncio.to_thread(kill_half_way, command, root / "made", git_too):
            break
        await snapshots.restore(run)
    else:
        pytest.fail("every restore was over too soon")

    again = last_run(await snapshots.list())
    assert again == run
    await snapshots.restore(run)
    assert state_of(root) == before
