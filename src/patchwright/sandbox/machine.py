"""What this machine has for a sandbox: memory, a user, sockets that listen."""

import os
import pwd
import stat
from pathlib import Path

from patchwright.sandbox.settings import SandboxSettings

_LISTENING = 0x10000
"""SO_ACCEPTCON in the flags column of /proc/net/unix."""


def memory_limit_bytes(settings: SandboxSettings) -> int:
    """The limit that was set, or half of the machine's memory."""
    if settings.memory_bytes is not None:
        return settings.memory_bytes
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def home_directory(settings: SandboxSettings) -> Path:
    """The user's home directory, symlinks followed; /tmp for users that have none, as those of services."""
    home = (settings.home or _home_on_record()).resolve()
    return home if os.access(f"{home}/", os.F_OK) and home != Path("/") else Path("/tmp").resolve()


def listening_sockets() -> tuple[Path, ...]:
    """The Unix sockets with a path that a process of this machine listens on."""
    try:
        lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]
    except OSError:
        return ()
    rows = [line.split(maxsplit=7) for line in lines]
    listening = {row[7] for row in rows if len(row) == 8 and int(row[3], 16) & _LISTENING}
    return tuple(Path(path) for path in sorted(listening) if path.startswith("/") and _is_socket(path))


def _home_on_record() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/nonexistent")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False
