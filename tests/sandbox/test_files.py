"""File methods: the disk as the sandbox sees it, and no further."""

import os
import stat
from pathlib import Path

import pytest

from patchwright.errors import ToolError
from patchwright.sandbox.base import FileInfo, Sandbox
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import output_of


async def test_bytes_come_back_as_they_were_written(sandbox: Sandbox, work_tree: Path) -> None:
    data = bytes(range(256)) * 20_000
    await sandbox.write("new/deep/file.bin", data)
    assert await sandbox.read("new/deep/file.bin") == data
    assert (work_tree / "new/deep/file.bin").read_bytes() == data
    assert await sandbox.read(f"{sandbox.root}/hello.txt") == b"hello\n"


async def test_an_existing_file_keeps_its_mode(sandbox: Sandbox, work_tree: Path) -> None:
    script = work_tree / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    await sandbox.write("run.sh", b"new")
    await sandbox.write("plain.txt", b"")
    assert stat.S_IMODE(script.stat().st_mode) == 0o750
    assert stat.S_IMODE((work_tree / "plain.txt").stat().st_mode) == 0o644
    assert sorted(path.name for path in work_tree.iterdir()) == [".git", "hello.txt", "plain.txt", "run.sh"]


async def test_a_symlink_inside_is_written_through(sandbox: Sandbox, work_tree: Path) -> None:
    (work_tree / "link.txt").symlink_to("hello.txt")
    await sandbox.write("link.txt", b"through")
    assert (work_tree / "link.txt").is_symlink()
    assert (work_tree / "hello.txt").read_bytes() == b"through"


async def test_nothing_outside_the_work_tree_can_be_changed(sandbox: Sandbox, work_tree: Path) -> None:
    (work_tree / "up").mkdir()
    (work_tree / "out").symlink_to("/usr/share")
    (work_tree / "dangling").symlink_to("/opt/not/there")
    refused = r": outside the sandbox, where only the work tree and /tmp may be changed$"
    for path in ("/etc/new", "../../../../../../../../../opt/new", "out/new", "/proc/self/comm", "up/../out/new"):
        with pytest.raises(ToolError, match=refused):
            await sandbox.write(path, b"")
        with pytest.raises(ToolError, match=refused):
            await sandbox.remove(path)
    with pytest.raises(ToolError, match=refused):
        await sandbox.write("dangling", b"")


async def test_the_git_directory_can_be_read_and_not_changed(sandbox: Sandbox, work_tree: Path) -> None:
    (work_tree / "alias").symlink_to(".git")
    before = (work_tree / ".git/config").read_bytes()
    for path in (".git/config", ".git/hooks/post-commit", "sub/.git/config", "alias/config"):
        with pytest.raises(ToolError, match=": permission denied, since the git directory is read-only"):
            await sandbox.write(path, b"x")
        with pytest.raises(ToolError, match=": permission denied, since the git directory is read-only"):
            await sandbox.remove(path)
    assert await sandbox.read(".git/config") == before == (work_tree / ".git/config").read_bytes()


async def test_without_a_sandbox_reading_stops_at_the_work_tree(work_tree: Path, settings: SandboxSettings) -> None:
    (work_tree / "out").symlink_to("/etc")
    allowed = settings.model_copy(update={"readable": (Path("/usr/share"),)})
    async with open_sandbox("none", work_tree, allowed) as sandbox:
        for path in ("/etc/passwd", "out/passwd", "/usr/share/../../etc/passwd"):
            with pytest.raises(ToolError, match="outside the sandbox"):
                await sandbox.read(path)
            with pytest.raises(ToolError, match="outside the sandbox"):
                await sandbox.info(path)
        assert await sandbox.list("/usr/share")


async def test_in_bubblewrap_reading_reaches_what_is_shown(bubblewrap: Sandbox) -> None:
    assert await bubblewrap.read("/etc/passwd") == Path("/etc/passwd").read_bytes()
    assert (await bubblewrap.read("/proc/self/status")).startswith(b"Name:")


async def test_what_cannot_be_read_is_refused_with_its_reason(sandbox: Sandbox, work_tree: Path) -> None:
    os.mkfifo(work_tree / "fifo")
    (work_tree / "loop").symlink_to("loop")
    (work_tree / "huge").touch()
    os.truncate(work_tree / "huge", 1 << 40)
    reasons = {
        "missing": "missing: not found",
        "hello.txt/x": "hello.txt/x: not a directory",
        ".": ".: is a directory",
        "fifo": "fifo: not a regular file",
        "huge": "huge: too large: 1099511627776 bytes, and at most 10000000 may be read at once",
    }
    for path, reason in reasons.items():
        with pytest.raises(ToolError) as refused:
            await sandbox.read(path)
        assert str(refused.value) == reason
    for path in ("loop", "nul\0byte", "x" * 300):
        with pytest.raises(ToolError):
            await sandbox.read(path)
    with pytest.raises(ToolError, match=r"hello\.txt: too large: 6 bytes, and at most 5"):
        await sandbox.read("hello.txt", limit_bytes=5)
    assert await sandbox.read("hello.txt", limit_bytes=6) == b"hello\n"


async def test_devices_and_endless_files_do_not_hold_a_reader(bubblewrap: Sandbox) -> None:
    for path in ("/dev/zero", "/dev/tty", "/dev/stdin"):
        with pytest.raises(ToolError):
            await bubblewrap.read(path)


async def test_a_protected_file_is_not_replaced(sandbox: Sandbox, work_tree: Path) -> None:
    (work_tree / "dir").mkdir()
    with pytest.raises(ToolError, match="dir: is a directory"):
        await sandbox.write("dir", b"")
    with pytest.raises(ToolError, match="dir: is a directory"):
        await sandbox.remove("dir")
    with pytest.raises(ToolError, match=r"\.: is a directory"):
        await sandbox.remove(".")
    with pytest.raises(ToolError, match=r"hello\.txt/x: not a directory"):
        await sandbox.write("hello.txt/x", b"")


async def test_removing_a_symlink_leaves_its_target(sandbox: Sandbox, work_tree: Path) -> None:
    (work_tree / "link").symlink_to("hello.txt")
    await sandbox.remove("link")
    assert sorted(path.name for path in work_tree.iterdir()) == [".git", "hello.txt"]
    with pytest.raises(ToolError, match="link: not found"):
        await sandbox.remove("link")


async def test_info_tells_what_is_there(sandbox: Sandbox, work_tree: Path) -> None:
    (work_tree / "dir").mkdir()
    (work_tree / "link").symlink_to("dir")
    (work_tree / "dir" / "file").write_text("12345")
    (work_tree / "dir" / "file").chmod(0o640)
    root = str(sandbox.root)
    file = FileInfo(path=f"{root}/dir/file", kind="file", size_bytes=5, mode=0o640)
    assert await sandbox.info("link/file") == await sandbox.info("dir/../link/file") == file
    assert await sandbox.info("missing") is await sandbox.info("hello.txt/x") is None
    found = {path: await sandbox.info(path) for path in ("link", ".", "dir/..", "dir")}
    assert {path: (info.path, info.kind) for path, info in found.items() if info} == {
        "link": (f"{root}/link", "symlink"),
        ".": (root, "directory"),
        "dir/..": (root, "directory"),
        "dir": (f"{root}/dir", "directory"),
    }


async def test_a_listing_is_in_order_bounded_and_without_hidden_entries(sandbox: Sandbox, work_tree: Path) -> None:
    for path in ("b/c/d/e.txt", "b/.hidden/x", "a-b.txt", "a/z.txt"):
        (work_tree / path).parent.mkdir(parents=True, exist_ok=True)
        (work_tree / path).touch()
    (work_tree / "loop").symlink_to(".")

    async def names(depth: int, limit: int) -> list[str]:
        listed = await sandbox.list(".", depth=depth, limit=limit)
        return [os.path.relpath(info.path, sandbox.root) for info in listed]

    assert await names(1, 1000) == ["a", "a-b.txt", "b", "hello.txt", "loop"]
    assert await names(3, 1000) == ["a", "a/z.txt", "a-b.txt", "b", "b/c", "b/c/d", "hello.txt", "loop"]
    assert await names(9, 4) == ["a", "a/z.txt", "a-b.txt", "b"]
    with pytest.raises(ToolError, match=r"hello\.txt: not a directory"):
        await sandbox.list("hello.txt")


async def test_names_that_are_not_text_are_shown_all_the_same(bubblewrap: Sandbox) -> None:
    await output_of(bubblewrap, "touch $'caf\\xe9'; mkdir -p $'\\xff'; cd $'\\xff'")
    assert [Path(info.path).name for info in await bubblewrap.list(".")] == ["caf\ufffd", "hello.txt", "\ufffd"]
    assert (await bubblewrap.run("true", timeout_s=30)).cwd == f"{bubblewrap.root}/\ufffd"
