"""How a kind of sandbox starts its supervisor: the whole difference between the three kinds."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

# The supervisor's source follows on stdin, so that it need not exist on the sandbox's side of the disk.
_BOOT = (
    "import os,sys\n"
    "n=int(sys.argv[1]);b=b''\n"
    "while len(b)<n:\n"
    " c=os.read(0,n-len(b))\n"
    " if not c:sys.exit(1)\n"
    " b+=c\n"
    "exec(compile(b,'supervisor.py','exec'))"
)


@dataclass(frozen=True)
class Launch:
    """One way to start a supervisor."""

    name: str
    root: PurePosixPath
    """The work tree, as commands inside see it."""
    commands: tuple[tuple[str, ...], ...]
    """Command lines to try in turn, each ending in a Python interpreter; the source's size is appended."""
    environment: Mapping[str, str] | None
    """The launcher's own environment (the commands' is sent over the wire); None: that of this process."""
    hint: str
    """The way out when none of them starts."""
    start_timeout_s: float = 20.0
    kill_command: tuple[str, ...] = ()
    """What ends a sandbox whose launcher was killed, where that isn't enough."""
    path_from_image: bool = False
    """True when PATH and HOME are the image's own and not the settings'."""
    limits_enforced: bool = False
    """True when the launcher itself holds the sandbox to memory and process limits."""
    readable: tuple[str, ...] | None = None
    """What file methods may read besides the work tree and /tmp; None: whatever the sandbox shows."""


def interpreter_command(python: str) -> tuple[str, ...]:
    """A command line that runs a program of so many bytes (its last argument, to be appended) from stdin."""
    return (python, "-I", "-S", "-c", _BOOT)


def supervisor_source() -> bytes:
    """The program to send."""
    return files("patchwright.sandbox").joinpath("supervisor.py").read_bytes()
