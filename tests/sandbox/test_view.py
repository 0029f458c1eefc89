"""What a command in bubblewrap sees of the machine, and what it cannot touch."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from patchwright.errors import SandboxError
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import git, output_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with secrets and a project in it."""
    directory = tmp_path / "home"
    for path in (".ssh/id_rsa", ".aws/credentials", ".netrc", "letters.txt", ".cargo/credentials.toml"):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text("secret")
    git("init", "--quiet", str(directory / "src" / "project"))
    return directory


async def test_the_home_directory_is_empty_and_everybodys_tmp_too(home: Path, settings: SandboxSettings) -> None:
    at_home = settings.model_copy(update={"home": home})
    new = Path("/tmp", f"new-{uuid4()}")
    async with open_sandbox("bubblewrap", home / "src" / "project", at_home) as sandbox:
        assert await output_of(sandbox, "cd; pwd; ls -A; ls -A src src/project") == (
            f"{home}\nsrc\nsrc:\nproject\n\nsrc/project:\n.git\n"
        )
        assert await output_of(sandbox, "echo x > ~/.cache && cat ~/.cache; ls /root /home | grep -c secret || true")
        assert "pytest-of" in await output_of(sandbox, "ls /tmp")
        seen = await output_of(sandbox, f"touch {new}; ls -A /var/tmp; find /tmp /run /root /home -name id_rsa")
        assert seen == ""
    assert not (home / ".cache").exists()
    assert not new.exists()


async def test_the_environment_is_what_the_settings_say(work_tree: Path, settings: SandboxSettings) -> None:
    os.environ["PATCHWRIGHT_TEST_TOKEN"] = "secret"
    try:
        chosen = settings.model_copy(update={"environment": {"EXTRA": "1"}, "path": "/usr/bin:/bin"})
        async with open_sandbox("bubblewrap", work_tree, chosen) as sandbox:
            names = await output_of(sandbox, "env | cut -d= -f1 | sort | tr '\\n' ' '; echo $EXTRA $PATH")
            search = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c TOKEN || :"
            everywhere = await output_of(sandbox, search)
    finally:
        del os.environ["PATCHWRIGHT_TEST_TOKEN"]
    assert names == (
        "EXTRA GIT_OPTIONAL_LOCKS GIT_PAGER GIT_TERMINAL_PROMPT HOME LANG PAGER PATH PWD PYTHONDONTWRITEBYTECODE "
        "SHLVL TERM TMPDIR _ 1 /usr/bin:/bin\n"
    )
    assert everywhere == "0\n"


async def test_the_root_is_read_only(bubblewrap: Sandbox) -> None:
    paths = "/etc/x /usr/x /x /var/x /sys/x /proc/sys/kernel/hostname /sys/fs/cgroup/*/tasks /sys/kernel/uevent_seqnum"
    await output_of(bubblewrap, f"for path in {paths}; do ! echo 1 > $path || exit; done")
    assert (await bubblewrap.run("mount -o remount,rw / || umount /tmp || mknod /tmp/d b 7 0", timeout_s=30)).exit_code


async def test_processes_of_the_machine_are_neither_seen_nor_hit(bubblewrap: Sandbox) -> None:
    pids = await output_of(bubblewrap, "ls /proc | grep -c '^[0-9]'")
    assert int(pids) < 8
    assert (await bubblewrap.run(f"kill -9 {os.getpid()}", timeout_s=30)).exit_code == 1


async def test_no_capability_and_no_way_to_new_ones(bubblewrap: Sandbox) -> None:
    status = await output_of(bubblewrap, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status | cut -f2 | sort -u")
    assert status == "0000000000000000\n1\n"
    assert (await bubblewrap.run("unshare --user true", timeout_s=30)).exit_code != 0


_LOOPBACK = """
import socket, sys
for family, address in zip((socket.AF_INET, socket.AF_INET6), sys.argv[1:]):
    with socket.create_server((address, 0), family=family) as server:
        socket.create_connection(server.getsockname()[:2]).close()
        print(address)
"""


async def test_loopback_works_and_nothing_beyond_it(bubblewrap: Sandbox) -> None:
    await bubblewrap.write("/tmp/loopback.py", _LOOPBACK.encode())
    addresses = ["127.0.0.1", "::1"] if Path("/proc/net/if_inet6").exists() else ["127.0.0.1"]
    told = await output_of(bubblewrap, f"python3 /tmp/loopback.py {' '.join(addresses)}")
    assert told.splitlines() == addresses
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    result = await bubblewrap.run(f'python3 -c "{reach}"', timeout_s=30)
    assert "Network is unreachable" in result.output


async def test_with_the_network_the_machine_is_reached(work_tree: Path, settings: SandboxSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]}"
        async with open_sandbox("bubblewrap", work_tree, settings) as sandbox:
            assert (await sandbox.run(connect, timeout_s=30)).exit_code == 1
        connected = settings.model_copy(update={"network": True})
        async with open_sandbox("bubblewrap", work_tree, connected) as sandbox:
            assert (await sandbox.run(connect, timeout_s=30)).exit_code == 0
            assert await output_of(sandbox, "cat /etc/resolv.conf") == Path("/etc/resolv.conf").read_text()


async def test_services_cannot_be_talked_to_through_sockets(tmp_path: Path, settings: SandboxSettings) -> None:
    """The directory counts as one that is not hidden: the home is elsewhere, and /tmp is shown on purpose."""
    project = tmp_path / "project"
    project.mkdir()
    shown = settings.model_copy(update={"readable": (tmp_path,)})
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect('{tmp_path}/service.sock')"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(tmp_path / "service.sock"))
        service.listen()
        subprocess.run([sys.executable, "-c", connect], check=True)
        async with open_sandbox("bubblewrap", project, shown) as sandbox:
            result = await sandbox.run(f'python3 -c "{connect}"', timeout_s=30)
    assert result.exit_code == 1
    assert "Connection refused" in result.output or "Permission denied" in result.output


async def test_hidden_and_readable_paths_are_as_set(work_tree: Path, tmp_path: Path, settings: SandboxSettings) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set.csv").write_text("1,2\n")
    chosen = settings.model_copy(
        update={"readable": (tmp_path / "data",), "hidden": (Path("/usr/share/doc"), Path("/etc/hostname"))}
    )
    async with open_sandbox("bubblewrap", work_tree, chosen) as sandbox:
        assert await output_of(sandbox, f"cat {tmp_path}/data/set.csv; ls -A /usr/share/doc") == "1,2\n"
        assert (await sandbox.run(f"touch {tmp_path}/data/new", timeout_s=30)).exit_code == 1
        assert (await sandbox.run("cat /etc/hostname", timeout_s=30)).exit_code == 1


@pytest.mark.skipif(os.getuid() != 0, reason="others cannot read these files anyway")
async def test_roots_own_secrets_are_hidden_from_roots_sandbox(bubblewrap: Sandbox) -> None:
    assert (await bubblewrap.run("cat /etc/shadow", timeout_s=30)).exit_code == 1


_CHANGES = (
    "echo x > .git/config; rm -rf .git; mv .git away; git config core.hooksPath /tmp; echo x > .git/hooks/post-merge; "
    "git update-ref refs/heads/evil HEAD; git commit --allow-empty -m x"
)


async def test_git_can_read_everything_and_change_nothing(work_tree: Path, settings: SandboxSettings) -> None:
    before = _contents(work_tree / ".git")
    async with open_sandbox("bubblewrap", work_tree, settings) as sandbox:
        await sandbox.run(_CHANGES, timeout_s=30)
        told = await output_of(sandbox, "echo more >> hello.txt; git log --format=%s; git diff --stat; git status -s")
    assert told == "first\n hello.txt | 1 +\n 1 file changed, 1 insertion(+)\n M hello.txt\n"
    assert _contents(work_tree / ".git") == before


async def test_the_git_directory_of_a_linked_work_tree_is_read_only_too(
    work_tree: Path, tmp_path: Path, settings: SandboxSettings
) -> None:
    linked = tmp_path / "linked"
    git("-C", str(work_tree), "worktree", "add", "--quiet", str(linked))
    before = _contents(work_tree / ".git")
    async with open_sandbox("bubblewrap", linked, settings) as sandbox:
        await sandbox.run(_CHANGES.replace("rm -rf .git", f"rm -rf .git {work_tree}"), timeout_s=30)
        assert await output_of(sandbox, "git log --format=%s; git status -s; git branch --show-current") == (
            "first\nlinked\n"
        )
        assert (await sandbox.run(f"ls {work_tree}/hello.txt", timeout_s=30)).exit_code != 0
    assert _contents(work_tree / ".git") == before


async def test_the_git_directory_of_a_submodule_is_read_only_too(
    work_tree: Path, tmp_path: Path, settings: SandboxSettings
) -> None:
    outer = tmp_path / "outer"
    git("init", "--quiet", str(outer))
    git("-C", str(outer), "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(work_tree), "sub")
    before = _contents(outer / ".git")
    async with open_sandbox("bubblewrap", outer / "sub", settings) as sandbox:
        await sandbox.run(_CHANGES, timeout_s=30)
        assert await output_of(sandbox, "git log --format=%s; git status -s") == "first\n"
    assert _contents(outer / ".git") == before


async def test_a_python_in_the_home_directory_runs_as_do_its_environments(
    home: Path, settings: SandboxSettings
) -> None:
    """As uv lays it out: Pythons below ~/.local/share and aliases to them, programs in ~/.local/bin, a `.venv`."""
    project, share = home / "src" / "project", home / ".local" / "share"
    python = share / "uv" / "python" / "cpython-3-real"
    (python / "bin").mkdir(parents=True)
    (python / "lib" / "python3.99").mkdir(parents=True)
    (share / "keyrings").mkdir()
    # A stand-in that needs a file of its prefix, as a real one does.
    (python / "lib" / "python3.99" / "greeting").write_text("hello from python\n")
    (python / "bin" / "python3.99").write_text('#!/bin/sh\ncat "${0%/bin/*}/lib/python3.99/greeting"\n')
    (python / "bin" / "python3.99").chmod(0o755)
    (share / "uv" / "python" / "cpython-3").symlink_to("cpython-3-real")
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to(share / "uv" / "python" / "cpython-3" / "bin" / "python3.99")
    (home / ".local" / "bin").mkdir()
    tool = share / "uv" / "tools" / "black"
    (tool / "bin").mkdir(parents=True)
    (tool / "bin" / "black").write_text("#!/bin/sh\necho black\n")
    (tool / "bin" / "black").chmod(0o755)
    (home / ".local" / "bin" / "black").symlink_to(tool / "bin" / "black")
    at_home = settings.model_copy(update={"home": home, "path": f"{home}/.local/bin:/usr/bin:/bin"})
    async with open_sandbox("bubblewrap", project, at_home) as sandbox:
        started = await output_of(sandbox, "sh $(readlink .venv/bin/python); black; ls ~/.local/share")
        assert started == "hello from python\nblack\nuv\n"
        assert (await sandbox.run("touch ~/.local/bin/black", timeout_s=30)).exit_code == 1


async def test_a_real_virtual_environment_in_a_hidden_directory_runs(
    work_tree: Path, tmp_path: Path, settings: SandboxSettings
) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    chosen = settings.model_copy(update={"path": f"{environment}/bin:/usr/bin:/bin"})
    async with open_sandbox("bubblewrap", work_tree, chosen) as sandbox:
        assert await output_of(sandbox, "python -c 'import sys, json; print(sys.prefix)'") == f"{environment}\n"


async def test_a_link_in_the_work_tree_shows_nothing_of_the_home_directory(
    home: Path, settings: SandboxSettings
) -> None:
    project = home / "src" / "project"
    (project / "bin").mkdir()
    (project / ".venv" / "bin").mkdir(parents=True)
    for directory in (project / "bin", project / ".venv" / "bin"):
        (directory / "python3").symlink_to(home / ".ssh" / "id_rsa")
        (directory / "python").symlink_to(home / ".aws" / "credentials")
    (project / ".venv" / "pyvenv.cfg").write_text(f"home = {home}/.ssh\n")
    at_home = settings.model_copy(update={"home": home, "path": f"{project}/bin:{settings.path}"})
    async with open_sandbox("bubblewrap", project, at_home) as sandbox:
        shown = await sandbox.run("cat bin/* .venv/bin/*; ls -A ~", timeout_s=30)
    assert "secret" not in shown.output
    assert shown.output.endswith("src\n")


@pytest.mark.parametrize("place", ["", ".."])
async def test_a_work_tree_that_holds_the_home_directory_is_refused(
    home: Path, settings: SandboxSettings, place: str
) -> None:
    with pytest.raises(SandboxError, match="which the sandbox hides") as refused:
        open_sandbox("bubblewrap", home / place, settings.model_copy(update={"home": home}))
    assert refused.value.hint == "run in the directory of one project"


def _contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
