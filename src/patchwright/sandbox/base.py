"""The Sandbox protocol: one work tree, one stateful shell, and the files as they are seen from inside."""

from pathlib import PurePosixPath
from typing import Literal, Protocol, Self

from patchwright.schema.record import Record


class CommandResult(Record):
    """What a command left behind. `output` is stdout and stderr as they interleaved, decoded with replacement."""

    output: str
    exit_code: int
    """As bash reports it: 128 + n for a command that died from signal n."""
    duration_s: float
    timed_out: bool = False
    omitted_bytes: int = 0
    """Bytes left out between the head and the tail of `output`."""
    cwd: str
    """The shell's working directory afterwards."""


class FileInfo(Record):
    """A path as `lstat` sees it from inside, after symlinks in its parents were followed within the sandbox."""

    path: str
    kind: Literal["file", "directory", "symlink", "other"]
    size_bytes: int
    mode: int
    """Permission bits, 0o7777."""


class Sandbox(Protocol):
    """A running sandbox; made with `async with`. Every path is one inside, absolute or relative to `root`.

    `run` raises SandboxError when the sandbox itself has died. The file methods raise ToolError with the
    path and the reason (not found, permission denied, is a directory, outside the sandbox).
    """

    name: str
    root: PurePosixPath
    """The work tree, as commands inside see it."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def run(
        self, command: str, *, timeout_s: float, output_limit_bytes: int = 65_536, fresh: bool = False
    ) -> CommandResult:
        """Run one bash command. Its directory, variables and functions carry over to the next, unless `fresh`:
        then it starts from the work tree with the first environment and leaves no trace in the shell's state."""
        ...

    async def read(self, path: str, *, limit_bytes: int = 10_000_000) -> bytes: ...

    async def write(self, path: str, data: bytes) -> None:
        """Replace the file's contents in one step; an existing file keeps its mode, missing parents are made."""
        ...

    async def remove(self, path: str) -> None: ...

    async def info(self, path: str) -> FileInfo | None:
        """None when nothing is there."""
        ...

    async def list(self, path: str, *, depth: int = 1, limit: int = 1000) -> tuple[FileInfo, ...]:
        """Entries below a directory, in order of path, hidden ones left out."""
        ...
