"""A program of ours, run beside the work tree: the command names it as $REPRODUCTION."""

import secrets
import shlex
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files

from pydantic import ValidationError

from patchwright.errors import ToolError
from patchwright.sandbox.base import CommandResult, Sandbox
from patchwright.schema.record import Record

NAME = "patchwright-reproduction.py"
"""What it is called while it runs, in a directory of its own."""

_TRACER = "patchwright_tracer.py"
_CLEANUP_TIMEOUT_S = 30.0


class Executed(Record):
    """By path in the tree, the lines that a program executes."""

    lines: dict[str, tuple[int, ...]] = {}
    """Each time."""
    set_up: dict[str, tuple[int, ...]] = {}
    """The first time in a process only: what is made on first use, and kept."""


async def ran(program: str, command: str, sandbox: Sandbox, *, timeout_s: float) -> CommandResult:
    """Raises SandboxError."""
    async with _directory(sandbox) as directory:
        await sandbox.write(f"{directory}/{NAME}", program.encode())
        return await _run(command, f"{directory}/{NAME}", {}, sandbox, timeout_s)


async def traced(program: str, command: str, sandbox: Sandbox, *, timeout_s: float) -> Executed:
    """Nothing where it cannot be told. It runs twice within the time, if the first leaves any. Raises SandboxError."""
    async with _directory(sandbox) as directory:
        await sandbox.write(f"{directory}/{NAME}", program.encode())
        tracer = files("patchwright.repo.testing") / _TRACER
        await sandbox.write(f"{directory}/{_TRACER}", tracer.read_bytes())
        variables = {
            "PATCHWRIGHT_TRACER_PROGRAM": f"{directory}/{NAME}",
            "PATCHWRIGHT_TRACER_TREE": str(sandbox.root),
            "PATCHWRIGHT_TRACER_REPORT": f"{directory}/report.json",
        }
        await _run(command, f"{directory}/{_TRACER}", variables, sandbox, timeout_s)
        try:
            return Executed.model_validate_json(await sandbox.read(f"{directory}/report.json"))
        except (ToolError, ValidationError):
            return Executed()


@asynccontextmanager
async def _directory(sandbox: Sandbox) -> AsyncGenerator[str]:
    directory = f"/tmp/patchwright-{secrets.token_hex(6)}"
    try:
        yield directory
    finally:
        await sandbox.run(f"rm -rf {directory}", timeout_s=_CLEANUP_TIMEOUT_S, fresh=True)


async def _run(
    command: str, place: str, variables: dict[str, str], sandbox: Sandbox, timeout_s: float
) -> CommandResult:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in {**variables, "REPRODUCTION": place}.items()]
    return await sandbox.run("\n".join([*exports, command]), timeout_s=timeout_s, fresh=True)
