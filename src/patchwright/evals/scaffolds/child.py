"""A scaffold's process: bound in time, its output in files, and gone with everything it started."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Child:
    """A command to run in a directory."""

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    stdout: Path
    """Appended to, as is stderr; they may be the same file."""
    stderr: Path
    stdin: bytes = field(default=b"", repr=False)

    async def run(self, timeout_s: float) -> int | None:
        """The exit code; None when it took longer and was killed. Its process group never outlives the call."""
        with self.stdout.open("ab") as stdout, self.stderr.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "patchwright.evals.scaffolds.tied", str(os.getpid()), *self.command),
                cwd=self.directory,
                env=dict(self.environment),
                stdin=asyncio.subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(timeout_s):
                await process.communicate(self.stdin)
        except TimeoutError:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return process.returncode
