"""Where benchmarks are fetched from: git repositories, and files over HTTP."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import httpx

from patchwright.errors import BenchmarkError
from patchwright.repo.git import complaint
from patchwright.schema.endpoint import shown

Fetch = Callable[[str, Path], None]
"""Brings what a URL names to a path that is not there yet. Raises BenchmarkError."""

FETCH_S = 600.0
"""For a whole repository or file."""
LARGEST_FILE_BYTES = 32 * 2**20
"""HumanEvalPack's Python rows are less than one."""

_HTTP_TRANSPORTS = ("https", "http")
_GIT_TRANSPORTS = (*_HTTP_TRANSPORTS, "ssh", "git", "file")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//|:)")
_AT_REVISION = re.compile(r"(?P<address>\w+://[^/]*/.*)@(?P<revision>[\w.+/-]+)")
_CONFIG = (
    "core.attributesFile=/dev/null",
    # A file of a stranger's that leads out of the checkout is a file that says where.
    "core.symlinks=false",
    "gc.auto=0",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
_VARIABLES = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    # Nobody is asked for a password, and nothing but these transports is followed, redirections included.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=30",
    "GIT_ALLOW_PROTOCOL": ":".join(_GIT_TRANSPORTS),
}
_TIMEOUT = httpx.Timeout(30)
_REPOSITORY_HINT = (
    "see that the address is right; a key comes from ssh-agent or ~/.ssh, a password from ~/.netrc; "
    "or name a checkout on this machine"
)
_FILE_HINT = "see that the address is right; or name a file on this machine"


def is_url(place: str) -> bool:
    """Whether it is the name of a transport and what that takes; git's `ext::COMMAND` is one, too."""
    return bool(_URL.match(place))


def repository_here(url: str) -> Path | None:
    """The directory that a file:// URL names; None for any other."""
    transport, _, place = _at_revision(url)[0].partition("://")
    directory = Path(unquote(place[place.find("/") :])) if transport == "file" else None
    return directory.resolve() if directory and directory.is_absolute() and directory.is_dir() else None


def _at_revision(url: str) -> tuple[str, str]:
    at = _AT_REVISION.fullmatch(url)
    return (at["address"], at["revision"]) if at else (url, "HEAD")


def fetch_repository(url: str, target: Path) -> None:
    """A checkout of one commit, without its past: what HEAD is there, or with `URL@REVISION` a tag, a branch or a
    commit by its full hash. Raises BenchmarkError."""
    _check_transport(url, _GIT_TRANSPORTS, _REPOSITORY_HINT)
    address, revision = _at_revision(url)
    target.mkdir()
    _run_git(url, target, "init", "--quiet", "--template=", "--initial-branch=main")
    _run_git(url, target, "fetch", "--quiet", "--depth=1", "--no-tags", "--", address, revision)
    _run_git(url, target, "checkout", "--quiet", "--detach", "FETCH_HEAD")


def fetch_file(url: str, target: Path, timeout_s: float = FETCH_S) -> None:
    """One file of UTF-8 text. Raises BenchmarkError."""
    _check_transport(url, _HTTP_TRANSPORTS, _FILE_HINT)
    deadline_s = time.monotonic() + timeout_s
    try:
        with _ended_by_ctrl_c(), httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT) as response:
            content = bytearray()
            for chunk in response.raise_for_status().iter_bytes():
                content += chunk
                if len(content) > LARGEST_FILE_BYTES:
                    raise _refused(url, f"it has more than {LARGEST_FILE_BYTES >> 20} MiB", _FILE_HINT)
                if time.monotonic() > deadline_s:
                    raise _refused(url, f"it has taken more than {timeout_s:g} s", _FILE_HINT)
        content.decode("utf-8")
    except httpx.HTTPStatusError as error:
        raise _refused(url, f"the server answered with status {error.response.status_code}", _FILE_HINT) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _refused(url, (str(error) or type(error).__name__).lower(), _FILE_HINT) from None
    except UnicodeDecodeError:
        raise _refused(url, "it is not UTF-8 text", _FILE_HINT) from None
    target.write_bytes(content)


def _check_transport(url: str, transports: Sequence[str], hint: str) -> None:
    if url.partition("://")[0] not in transports:
        raise _refused(url, f"it does not begin with {', '.join(f'{each}://' for each in transports)}", hint)


@contextmanager
def _ended_by_ctrl_c() -> Generator[None]:
    """The first Ctrl-C raises KeyboardInterrupt, where the loop that waits for us would hear of it only afterwards."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # signals are not ours, or this one is ignored
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run_git(url: str, directory: Path, *arguments: str) -> None:
    """In the user's environment, for its proxies and keys, and by nobody's configuration."""
    program = shutil.which("git")
    if program is None:
        raise BenchmarkError("git is not installed", hint="install it with the system's package manager")
    settings = [part for setting in _CONFIG for part in ("-c", setting)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        result = subprocess.run(
            [program, *settings, *arguments],
            cwd=directory,
            env=inherited | _VARIABLES,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=FETCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refused(url, f"git has taken more than {FETCH_S:g} s", _REPOSITORY_HINT) from None
    if result.returncode == -signal.SIGINT:  # Ctrl-C reaches the child, while a loop that waits takes no note of it
        raise KeyboardInterrupt
    if result.returncode:
        reason = complaint(result.stderr.decode("utf-8", "replace"))
        raise _refused(url, reason or f"git {arguments[0]} ended with {result.returncode}", _REPOSITORY_HINT)


def _refused(url: str, reason: str, hint: str) -> BenchmarkError:
    return BenchmarkError(f"{shown(url)} cannot be fetched: {reason}", hint=hint)
