"""Somebody else's scaffold: in its own environment, in our sandbox, with nothing of the world but the model."""

import asyncio
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from patchwright.engines.base import Engine
from patchwright.evals.base import Workspace
from patchwright.evals.scaffolds.base import Outcome, Terms, ended
from patchwright.evals.scaffolds.environment import interpreter_home
from patchwright.evals.scaffolds.events import last_line
from patchwright.evals.scaffolds.gateway import Meter, gateway
from patchwright.evals.scaffolds.patch import Recording
from patchwright.evals.scaffolds.patchwright import sandboxed
from patchwright.evals.scaffolds.recipes import CONTEXT_TOKENS, Errand, Recipe, Start
from patchwright.repo.git import Git
from patchwright.sandbox.base import CommandResult
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.instance import Instance

PORT = 8000
LOG_BYTES = 1_000_000

_ORDER = (
    "\n\nChange the files of the repository in the current directory so that this is resolved, and leave its tests as \
they are."
)
_TESTS = " `{}` runs the tests."


@dataclass(frozen=True)
class Foreign:
    """The scaffold of a recipe. What it sees is the work tree, its own programs and the instance's."""

    name: str
    recipe: Recipe = field(repr=False)
    engine: Engine
    environments: Path
    """Where the environments of scaffolds are kept."""
    sandbox: SandboxSettings
    variables: Mapping[str, str] = field(repr=False)
    """For uv, which makes the environment: certificates, proxies, indexes."""

    async def attempt(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path) -> Outcome:
        environment = await self.recipe.environment.made(self.environments, self.variables)
        endpoint = await self.engine.connect()
        await _settle_git(workspace.tree, self.recipe.leaves)
        # Short, for the socket's sake.
        with TemporaryDirectory(prefix="patchwright-", ignore_cleanup_errors=True) as scratch:
            recording = await Recording.start(workspace.tree, Path(scratch) / "state")
            files = Path(scratch) / "files"
            files.mkdir()
            errand = _errand(instance, workspace, endpoint, environment, files)
            start = _start(self.recipe, errand)
            started = time.monotonic()
            settings = self._settings(workspace, start, files, environment)
            async with open_sandbox("bubblewrap", workspace.tree, settings) as sandbox:
                # Only now: a sandbox covers every socket that it finds listening when it starts.
                with gateway(files / "endpoint.sock", endpoint) as meter:
                    result = await sandbox.run(
                        _command(start, errand), timeout_s=terms.time_limit_s, output_limit_bytes=LOG_BYTES
                    )
            seconds = time.monotonic() - started
            patch = await recording.patch()
        log = directory / "scaffold.log"
        await asyncio.to_thread(log.write_text, result.output, encoding="utf-8")
        return _outcome(result, patch, seconds, log, meter)

    def _settings(self, workspace: Workspace, start: Start, files: Path, environment: Path) -> SandboxSettings:
        own = sandboxed(self.sandbox, workspace)
        return own.model_copy(
            update={
                "network": False,
                "environment": {**own.environment, **start.variables},
                "readable": (*own.readable, files, environment, interpreter_home(environment)),
            }
        )


def _errand(instance: Instance, workspace: Workspace, endpoint: Endpoint, environment: Path, files: Path) -> Errand:
    tests = _TESTS.format(workspace.test_command) if workspace.test_command else ""
    return Errand(
        task=f"{instance.problem_statement.strip()}{_ORDER}{tests}",
        test_command=workspace.test_command,
        model=endpoint.model,
        base_url=f"http://127.0.0.1:{PORT}/v1",
        context_tokens=endpoint.context_tokens or CONTEXT_TOKENS,
        environment=environment,
        files=files,
    )


def _start(recipe: Recipe, errand: Errand) -> Start:
    start = recipe.start(errand)
    forward = Path(__file__).with_name("forward.py").read_text(encoding="utf-8")
    for name, text in {**start.files, "forward.py": forward}.items():
        (errand.files / name).write_text(text, encoding="utf-8")
    return start


def _command(start: Start, errand: Errand) -> str:
    return shlex.join([*errand.written("forward.py"), str(errand.files / "endpoint.sock"), str(PORT), *start.command])


def _outcome(result: CommandResult, patch: str, seconds: float, log: Path, meter: Meter) -> Outcome:
    if meter.failures and not meter.steps:
        detail = f"the endpoint failed all of {meter.failures} requests, the last with {meter.failure}"
        return Outcome("error", patch, seconds, detail, meter.steps, meter.usage)
    if result.timed_out:
        return Outcome("limit", patch, seconds, "time_limit", meter.steps, meter.usage)
    if result.exit_code or not meter.steps:
        detail = f"exit code {result.exit_code} after {meter.steps} steps: {last_line(log)}"
        return Outcome("error", patch, seconds, detail, meter.steps, meter.usage)
    return Outcome(ended(patch), patch, seconds, "", meter.steps, meter.usage)


async def _settle_git(tree: Path, leaves: tuple[str, ...]) -> None:
    """What scaffolds write into .git, which they cannot: who commits, and what is kept out of the patch."""
    git = Git(tree)
    await git.run("config", "user.name", "Scaffold")
    await git.run("config", "user.email", "scaffold@localhost")
    exclude = tree / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    with exclude.open("a", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in leaves)
