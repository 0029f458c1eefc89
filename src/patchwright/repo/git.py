"""Git as a child process that listens to nobody: no user configuration, no environment, no hooks."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from patchwright.errors import RepositoryError

_ENVIRONMENT = {
    "PATH": os.defpath,
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Patchwright",
    "GIT_AUTHOR_EMAIL": "patchwright@localhost",
    "GIT_COMMITTER_NAME": "Patchwright",
    "GIT_COMMITTER_EMAIL": "patchwright@localhost",
}
"""All that a git process gets to see: the caller's GIT_*, HOME and LD_* stay behind."""

_CONFIG = (
    # A repository's own configuration can name programs; these are the ones that our commands would run.
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    # A tree that belongs to somebody else (a container's mount) is readable all the same: with the two lines
    # above, nothing in it is run, which is what the ownership check is there to prevent.
    "safe.directory=*",
    # Bytes are kept as they are, modes and symlinks as Linux has them.
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.fileMode=true",
    "core.symlinks=true",
    "core.trustctime=true",
    # Names that only Windows has trouble with are names.
    "core.protectNTFS=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "gc.auto=0",
    "gc.autoDetach=false",
)
"""As `-c` on the command line, where it overrules the repository's own file."""
_NO_COMPLAINT = ("remote:", "warning:", "hint:")


class GitError(RepositoryError):
    """A git command failed. `stderr` is all that it said."""

    def __init__(self, message: str, stderr: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.stderr = stderr


class Git:
    """Runs git in one directory.

    `inherited_fds` stay open in the git processes: a lock held through one of them lasts until the last
    git process is gone, even when this process is killed before it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        variables: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
        inherited_fds: Collection[int] = (),
        timeout_s: float = 600,
    ) -> None:
        self._directory = directory
        self._environment = {**_ENVIRONMENT, **(variables or {})}
        self._config = [part for setting in (*_CONFIG, *config) for part in ("-c", setting)]
        self._inherited_fds = inherited_fds
        self._timeout_s = timeout_s

    async def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        variables: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
    ) -> bytes:
        """What the command wrote to stdout. A cancelled command is killed, with every process it started.

        Raises GitError when it exits with anything but 0; RepositoryError when git is not there or takes too long.
        """
        settings = [part for setting in config for part in ("-c", setting)]
        process = await self._start([*self._config, *settings, *arguments], variables or {})
        try:
            async with asyncio.timeout(self._timeout_s):
                stdout, stderr = await process.communicate(stdin)
        except TimeoutError:
            raise RepositoryError(f"git {arguments[0]} has taken more than {self._timeout_s:g} s") from None
        finally:
            if process.returncode is None:
                await _kill(process)
        if process.returncode != 0:
            raise _failure(arguments[0], process.returncode, stderr)
        return stdout

    async def _start(self, arguments: Sequence[str], variables: Mapping[str, str]) -> asyncio.subprocess.Process:
        program = shutil.which("git")
        if program is None:
            raise RepositoryError("git is not installed", hint="install it with the system's package manager")
        try:
            return await asyncio.create_subprocess_exec(
                program,
                *arguments,
                cwd=self._directory,
                env={**self._environment, **variables},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=tuple(self._inherited_fds),
                # A group of its own: ctrl-c on the terminal is ours to handle, and gc has children to kill.
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError):
            raise RepositoryError(f"{self._directory}: no such directory") from None


def split(output: bytes) -> list[str]:
    """The fields of NUL-terminated output. A name that is not UTF-8 comes back from `join` as it was."""
    return output.decode("utf-8", "surrogateescape").split("\0")[:-1]


def join(fields: Collection[str]) -> bytes:
    """Fields as NUL-terminated input."""
    return "".join(f"{field}\0" for field in fields).encode("utf-8", "surrogateescape")


def complaint(stderr: str) -> str:
    """What git complained of first: advice follows it. Without what a server could do to a terminal."""
    lines = [line for line in stderr.splitlines() if line.strip() and not line.lower().startswith(_NO_COMPLAINT)]
    first = lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else ""
    return "".join(filter(str.isprintable, first))


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _failure(command: str, code: int | None, stderr: bytes) -> GitError:
    said = stderr.decode("utf-8", "replace")
    return GitError(f"git {command} failed: {complaint(said) or f'exit code {code}'}", said)
