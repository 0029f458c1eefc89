"""How a kind of sandbox starts its supervisor: the whole difference between the three kinds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

# In the order in which they import each other; the last one has `main`.
_MODULES = ("channel", "output", "processes", "shell", "files", "supervisor")
# The source follows on stdin, so that it need not exist on the sandbox's side of the disk.
_BOOT = """\
import json, os, sys, types
size, source = int(sys.argv[1]), b""
while len(source) < size:
    source += os.read(0, size - len(source)) or sys.exit(1)
for name, text in json.loads(source):
    sys.modules[name] = module = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main()
"""


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
    """What to send first: the modules of `inside`, by name."""
    package = files("patchwright.sandbox.inside")
    modules = {f"patchwright.sandbox.inside.{name}": package / f"{name}.py" for name in _MODULES}
    return json.dumps([(name, file.read_text(encoding="utf-8")) for name, file in modules.items()]).encode()
