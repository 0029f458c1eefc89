"""uv, and the Pythons that it makes environments from."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from patchwright.errors import BenchmarkError

_PIP_SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
"""What pip calls where packages come from, and uv's variable for it."""


def uv_program() -> Path:
    """Raises BenchmarkError when uv is not installed."""
    own = Path(sys.executable).with_name("uv")
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise BenchmarkError("uv is not installed, and environments are built with it", hint=EXTRA_HINT)
    return Path(found)


EXTRA_HINT = "`pip install 'patchwright[eval]'` brings what benchmarks need"


def python_of(version: str) -> str:
    """What uv is to look for: pyenv's Python of this version (uv knows nothing of those that no shim leads to), or
    the version itself.

    Raises BenchmarkError when it isn't one.
    """
    if not re.fullmatch(r"\d+(\.\d+){0,2}", version):
        raise BenchmarkError(f"{version!r} is no version of Python", hint='such as "3.9"')
    versions = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    exact = [versions / version] if version.count(".") == 2 else []
    candidates = [*exact, *sorted(versions.glob(f"{version}.*"), key=_release)]
    pythons = [str(each / "bin" / "python") for each in candidates if (each / "bin" / "python").is_file()]
    return pythons[-1] if pythons else version


def _release(directory: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", directory.name))


@cache
def index_exports() -> str:
    """Shell code that lets uv find packages where the user's pip does, as far as uv was not told something else."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    lines: dict[str, str] = {}
    # The environment comes last in the list, and counts.
    for key, value in re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE):
        if variable := _PIP_SETTINGS.get(key):
            wanted = shlex.quote(" ".join(value.replace("\\n", " ").split()))
            lines[variable] = f'[ -n "${{{variable}:-}}" ] || export {variable}={wanted}'
    # pip takes the best version that any index has.
    return "\n".join([*lines.values(), 'export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"'])
