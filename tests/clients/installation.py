"""Installs the clients, each into a place of its own below the data directory: python -m tests.clients.installation.

One that cannot be installed is named with the reason, which its test then gives for being skipped.
"""

import asyncio
import os
import time
from pathlib import Path

from patchwright.config import load_settings
from patchwright.errors import BenchmarkError
from tests.clients.npm import NpmPackage
from tests.clients.versions import CLIENTS

PLACES = load_settings().data_dir / "clients"


def programs(name: str) -> Path | str:
    """The directory of an installed client's programs, or why it is not installed."""
    found, reason = PLACES / f"{name}.programs", PLACES / f"{name}.reason"
    if found.exists():
        return Path(found.read_text())
    return reason.read_text() if reason.exists() else f"{name} is not installed: run script/test --clients"


async def _install(name: str) -> str:
    found, reason = PLACES / f"{name}.programs", PLACES / f"{name}.reason"
    found.unlink(missing_ok=True)
    reason.unlink(missing_ok=True)
    client = CLIENTS[name]
    started = time.monotonic()
    try:
        place = await client.made(PLACES, os.environ)
    except BenchmarkError as error:
        reason.write_text(f"{name} cannot be installed: {error}")
        return reason.read_text()
    found.write_text(str(place / ("node_modules/.bin" if isinstance(client, NpmPackage) else "bin")))
    return f"{name} is installed ({time.monotonic() - started:.0f} s)"


async def _main() -> None:
    PLACES.mkdir(parents=True, exist_ok=True)
    for name in CLIENTS:
        print(await _install(name), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
