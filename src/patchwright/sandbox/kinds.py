"""The kinds of sandbox, by name."""

from pathlib import Path
from typing import Literal

from patchwright.errors import SandboxError
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.bubblewrap import bubblewrap_launch
from patchwright.sandbox.client import SupervisedSandbox
from patchwright.sandbox.docker import docker_launch
from patchwright.sandbox.local import local_launch
from patchwright.sandbox.machine import home_directory
from patchwright.sandbox.settings import SandboxSettings

SandboxKind = Literal["bubblewrap", "docker", "none"]

_LAUNCHES = {"bubblewrap": bubblewrap_launch, "docker": docker_launch, "none": local_launch}


def open_sandbox(kind: SandboxKind, work_tree: Path, settings: SandboxSettings) -> Sandbox:
    """A sandbox for this work tree, to be started with `async with`.

    Raises SandboxError when the work tree is not a directory or this kind cannot hold it; entering it
    raises SandboxError when it cannot be started.
    """
    if not work_tree.is_dir():
        raise SandboxError(f"the work tree {work_tree} is not a directory")
    launch = _LAUNCHES[kind](work_tree.resolve(), settings)
    return SupervisedSandbox(launch, settings, str(home_directory(settings)))
