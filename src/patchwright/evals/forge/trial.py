"""Trials: a project's tests and programs, run on its tree as it is and with mutations."""

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from patchwright.evals.environments import Environment
from patchwright.repo.testing.suite import Suite
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.disposable import disposable_sandbox
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.resolution import SuiteRun

TEST_S = 10.0
"""One test may take so long."""
PROGRAM_S = 10.0
_LOG_LIMIT_BYTES = 32_000_000


@dataclass(frozen=True)
class Printed:
    """What a program printed, and what it ended with: the last line of a traceback, or nothing."""

    output: str
    error: str = ""
    timed_out: bool = False


@dataclass(frozen=True)
class Project:
    """A tested project: its tree, where it runs, and the command that runs its tests with pytest."""

    tree: Path
    environment: Environment
    test_command: str
    sandbox: SandboxSettings

    @asynccontextmanager
    async def opened(self, changed: Mapping[str, str] | None = None) -> AsyncGenerator[Sandbox]:
        """A sandbox over a copy of the tree in which the files of `changed` have these texts. Raises SandboxError."""
        own = self.sandbox.model_copy(
            update={
                "path": self.environment.path,
                "environment": {**self.sandbox.environment, **self.environment.variables, "PYTHONHASHSEED": "0"},
                "readable": (*self.sandbox.readable, *self.environment.readable),
            }
        )
        async with disposable_sandbox("bubblewrap", self.tree, own) as sandbox:
            for path, text in (changed or {}).items():
                await sandbox.write(path, text.encode())
            yield sandbox

    async def tested(
        self, timeout_s: float, changed: Mapping[str, str] | None = None, *, trace: bool = False
    ) -> tuple[SuiteRun, str]:
        """The tests, and all that they printed."""
        log = f"/tmp/log-{secrets.token_hex(4)}"
        async with self.opened(changed) as sandbox:
            suite = Suite(f"{{ {self.test_command}\n}} > {log} 2>&1", sandbox)
            run = await suite.run(timeout_s=timeout_s, test_timeout_s=TEST_S, trace=trace)
            return run, (await sandbox.read(log, limit_bytes=_LOG_LIMIT_BYTES)).decode(errors="replace")


async def printed(program: str, sandbox: Sandbox, *, seed: int = 0) -> Printed:
    """What the program does, from outside of the tree, as a user's own would. `seed` is for the order of sets."""
    place = f"/tmp/program-{secrets.token_hex(4)}.py"
    await sandbox.write(place, program.encode())
    command = f"PYTHONHASHSEED={seed} python {place} 2> {place}.err"
    result = await sandbox.run(command, timeout_s=PROGRAM_S, fresh=True)
    lines = (await sandbox.read(f"{place}.err")).decode(errors="replace").splitlines() if result.exit_code else []
    return Printed(result.output, error=lines[-1] if lines else "", timed_out=result.timed_out)
