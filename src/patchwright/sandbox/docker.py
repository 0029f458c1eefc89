"""Docker: one throw-away container for each sandbox, with the work tree mounted at its own path."""

import csv
import io
import os
import secrets
import shutil
from pathlib import Path, PurePosixPath

from patchwright.errors import SandboxError
from patchwright.sandbox.git_directories import git_paths
from patchwright.sandbox.launch import Launch, interpreter_command
from patchwright.sandbox.machine import memory_limit_bytes
from patchwright.sandbox.settings import SandboxSettings

_HINT = "start Docker and check `docker run --rm IMAGE python3 -V`, or use `--sandbox bubblewrap`"
# Pulling an image is part of starting the first container.
_START_TIMEOUT_S = 900.0


def docker_launch(work_tree: Path, settings: SandboxSettings) -> Launch:
    """The supervisor as the first process of a container.

    Raises SandboxError when there is no Docker client.
    """
    client = _client(work_tree, settings)
    container = f"patchwright-{secrets.token_hex(6)}"
    options = (*_limits(settings), *_mounts(work_tree), "--workdir", str(work_tree))
    user = settings.docker_user or f"{os.getuid()}:{os.getgid()}"
    # fmt: off
    command = (
        client, "run", "--interactive", "--rm", "--quiet", "--name", container, "--entrypoint", "",
        "--user", user, *options, settings.docker_image, *interpreter_command("python3"),
    )
    # fmt: on
    return Launch(
        name="docker",
        root=PurePosixPath(work_tree),
        commands=(command,),
        environment=None,
        hint=_HINT,
        start_timeout_s=_START_TIMEOUT_S,
        kill_command=(client, "kill", container),
        path_from_image=True,
        limits_enforced=True,
    )


def _client(work_tree: Path, settings: SandboxSettings) -> str:
    # Commands can write to the work tree: a client planted there must not run outside the sandbox.
    entries = [entry for entry in settings.path.split(":") if not Path(entry).resolve().is_relative_to(work_tree)]
    found = shutil.which(settings.docker, path=":".join(entries))
    if found is None:
        raise SandboxError(f"no docker client: {settings.docker} is not on PATH", hint=_HINT)
    return found


def _limits(settings: SandboxSettings) -> tuple[str, ...]:
    memory = str(memory_limit_bytes(settings))
    # fmt: off
    return (
        "--network", "bridge" if settings.network else "none",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--pids-limit", str(settings.processes), "--memory", memory, "--memory-swap", memory,
        "--tmpfs", f"/tmp:exec,mode=1777,size={settings.scratch_bytes}",
    )
    # fmt: on


def _mounts(work_tree: Path) -> tuple[str, ...]:
    mounts = ["--mount", _mount(work_tree)]
    for path in git_paths(work_tree):
        mounts += ["--mount", _mount(path, "readonly")]
    return tuple(mounts)


def _mount(path: Path, *options: str) -> str:
    # --mount takes a line of CSV, and a path may hold a comma.
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["type=bind", f"source={path}", f"target={path}", *options])
    return line.getvalue()
