"""No sandbox: commands run as the user, on the bare machine. Only for those who asked for exactly that."""

import sys
from pathlib import Path, PurePosixPath

from patchwright.sandbox.launch import Launch, interpreter_command
from patchwright.sandbox.settings import SandboxSettings


def local_launch(work_tree: Path, settings: SandboxSettings) -> Launch:
    """The supervisor as an ordinary child process."""
    return Launch(
        name="none",
        root=PurePosixPath(work_tree),
        commands=(interpreter_command(str(Path(sys.executable).resolve())),),
        environment={},
        hint="check that this Python interpreter still exists",
        readable=tuple(str(path.resolve()) for path in settings.readable),
    )
