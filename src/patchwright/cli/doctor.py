"""`patchwright doctor`: whether this machine has what Patchwright needs, a line each."""

import asyncio
import platform
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import typer

from patchwright.cli.exit_codes import DONE, INFRASTRUCTURE
from patchwright.config import Settings, load_settings
from patchwright.errors import PatchwrightError, SandboxError

app = typer.Typer(add_completion=False)
MIN_FREE_GB = 2


@app.command()
def doctor() -> None:
    """Check that this machine has what Patchwright needs. Exit code 3 when something is missing."""
    raise typer.Exit(asyncio.run(_examine(load_settings())))


async def _examine(settings: Settings) -> int:
    checks: dict[str, Callable[[Settings], Awaitable[str]]] = {
        "python": _python,
        "git": _git,
        "sandbox": _sandbox,
        "search": _search,
        "engine": _engine,
        "memory": _memory,
        "disk": _disk,
        "models": _models,
    }
    healthy = True
    for name, check in checks.items():
        try:
            typer.echo(f"ok      {name:<8} {await check(settings)}")
        except PatchwrightError as error:
            healthy = False
            typer.echo(f"MISSING {name:<8} {error}" + (f"\n{'':17}hint: {error.hint}" if error.hint else ""))
    return DONE if healthy else INFRASTRUCTURE


async def _python(settings: Settings) -> str:
    return f"{platform.python_version()} at {sys.executable}"


async def _git(settings: Settings) -> str:
    path = shutil.which("git")
    if path is None:
        raise PatchwrightError("git is not on PATH", hint="install git 2.30 or later")
    process = await asyncio.create_subprocess_exec(path, "--version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().strip()


async def _sandbox(settings: Settings) -> str:
    from patchwright.sandbox.kinds import open_sandbox

    with tempfile.TemporaryDirectory() as directory:
        async with open_sandbox("bubblewrap", Path(directory), settings.sandbox) as sandbox:
            result = await sandbox.run("echo isolated", timeout_s=10)
    if result.output.strip() != "isolated":
        raise SandboxError(f"a command in the sandbox said {result.output!r}")
    return f"bubblewrap runs commands ({result.duration_s * 1000:.0f} ms for the first)"


async def _search(settings: Settings) -> str:
    from patchwright.tools.search import own_ripgrep

    path = shutil.which(own_ripgrep())
    if path is None:
        raise PatchwrightError("ripgrep is not installed", hint="pip install ripgrep")
    return path


async def _engine(settings: Settings) -> str:
    from patchwright.engines.llama_cpp import check_library

    return f"llama.cpp through xllamacpp {await check_library()}"


async def _memory(settings: Settings) -> str:
    from patchwright.engines.machine import usable_cores
    from patchwright.models.memory import machine_memory_bytes

    return f"{machine_memory_bytes() / 1e9:.1f} GB, {usable_cores()} cores"


async def _disk(settings: Settings) -> str:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    free_gb = shutil.disk_usage(settings.data_dir).free / 1e9
    if free_gb < MIN_FREE_GB:
        raise PatchwrightError(f"{free_gb:.1f} GB free at {settings.data_dir}", hint="models need some gigabytes")
    return f"{free_gb:.0f} GB free at {settings.data_dir}"


async def _models(settings: Settings) -> str:
    from patchwright.cli.assemble import engine_of
    from patchwright.schema.endpoint import shown

    engine_of(settings)
    return f"{settings.model} is here" if settings.base_url is None else f"at {shown(settings.base_url)}"
