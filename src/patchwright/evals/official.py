"""The official evaluation of a patch, on this machine: the row's own script, in a sandbox, with a local environment."""

import glob
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from patchwright.evals.environments import Environment
from patchwright.evals.eval_script import adapted
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings

_PATCH = "/tmp/patchwright.diff"
_SCRIPT = "/tmp/patchwright-eval.sh"
_LOG = "/tmp/patchwright-eval.log"
# Tests of pytest look at the bytecode that they make; the sandbox would have none written.
_AS_OFFICIAL = {"PYTHONDONTWRITEBYTECODE": ""}
_APPLY_TIMEOUT_S = 120
_LOG_LIMIT_BYTES = 200_000_000


@dataclass(frozen=True)
class Outcome:
    """What running the script left."""

    log: bytes
    applied: bool = True
    timed_out: bool = False


async def run_official(
    script: str,
    patch: str,
    tree: Path,
    environment: Environment,
    settings: SandboxSettings,
    *,
    base_commit: str,
    not_applied: Sequence[str] = (),
    timeout_s: float,
) -> Outcome:
    """Applies `patch` to the tree (nothing, where it is empty), but for the files `not_applied`, and runs the script
    there, without a network.

    Raises SandboxError.
    """
    own = settings.model_copy(
        update={
            "path": environment.path,
            "environment": {**settings.environment, **environment.variables, **_AS_OFFICIAL},
            "readable": (*settings.readable, *environment.readable),
        }
    )
    async with open_sandbox("bubblewrap", tree, own) as sandbox:
        if patch.strip():
            await sandbox.write(_PATCH, patch.encode("utf-8", "surrogateescape"))
            applying = await sandbox.run(_apply_command(not_applied), timeout_s=_APPLY_TIMEOUT_S, fresh=True)
            if applying.exit_code:
                return Outcome(applying.output.encode(), applied=False)
        await sandbox.write(_SCRIPT, adapted(script, base_commit, tree).encode("utf-8", "surrogateescape"))
        result = await sandbox.run(f"bash {_SCRIPT} > {_LOG} 2>&1", timeout_s=timeout_s, fresh=True)
        return Outcome(await sandbox.read(_LOG, limit_bytes=_LOG_LIMIT_BYTES), timed_out=result.timed_out)


def _apply_command(not_applied: Sequence[str]) -> str:
    excluded = shlex.join(f"--exclude={glob.escape(file)}" for file in not_applied)
    return f"git apply --verbose {excluded} {_PATCH} || patch --batch --forward --fuzz=5 -p1 -i {_PATCH}"
