"""Files and directories that permissions keep us from; in a process that is not root, to whom nothing is closed."""

import subprocess
import sys

SCRIPT = """
import asyncio, concurrent.futures.thread, os, shutil, subprocess, tempfile
from pathlib import Path
from patchwright.errors import RepositoryError
from patchwright.repo.snapshot import Change, LeftOut
from patchwright.repo.snapshots import Snapshots

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)

async def main(top):
    root = top / "tree"
    (root / "dir").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", root], check=True)
    (root / "closed").write_text("first")
    (root / "dir" / "file").write_text("first")
    snapshots = Snapshots(root, top / "store")
    first = await snapshots.take("before")

    (root / "closed").write_text("edited, then closed")
    (root / "closed").chmod(0)
    (root / "new").write_text("made since")
    (root / "shut").write_text("made since")
    (root / "shut").chmod(0)
    second = await snapshots.take("after step 1")
    assert second.left_out == (LeftOut("closed", "cannot be read"), LeftOut("shut", "cannot be read"))
    assert await snapshots.changes(first, second) == (Change("new", "added"),)

    await snapshots.restore(first)
    assert (root / "closed").read_text() == "first"
    assert sorted(path.name for path in root.iterdir()) == [".git", "closed", "dir", "shut"]

    (root / "dir" / "new").write_text("made since")
    (root / "dir").chmod(0o555)
    try:
        await snapshots.restore(first)
    except RepositoryError as error:
        assert str(error) == "dir/new: could not be restored", error
    else:
        raise AssertionError("said to be restored")
    (root / "dir").chmod(0o755)
    await snapshots.restore(first)
    assert sorted(path.name for path in (root / "dir").iterdir()) == ["file"]

with tempfile.TemporaryDirectory() as top:
    asyncio.run(main(Path(top)))
print("as claimed")
"""


def test_what_permissions_close_is_left_out_and_restored_as_far_as_they_allow() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("as claimed\n", "")
