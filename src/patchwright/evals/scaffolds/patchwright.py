"""Patchwright's own scaffolds: `patchwright run` and `patchwright resolve`, each attempt in a process of its own."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from patchwright.engines.state import engines_directory
from patchwright.evals.base import Workspace
from patchwright.evals.scaffolds.base import GRACE_S, Outcome, Terms
from patchwright.evals.scaffolds.child import Child
from patchwright.evals.scaffolds.events import fold
from patchwright.evals.scaffolds.patch import Recording
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Instance

SEEDS_APART = 1000
"""Between the seeds of two attempts: a resolution counts up from the one that it is given."""


@dataclass(frozen=True)
class Patchwright:
    """`patchwright run` or `patchwright resolve` with these settings.

    Its sessions and snapshots are gone after each attempt, the events are kept; the engine is everybody's.
    """

    command: Literal["run", "resolve"]
    way: str
    """A profile of `run` or a strategy of `resolve`; empty for the one that suits the model."""
    state_dir: Path
    """Where the engines are that every attempt shares."""
    sandbox: SandboxSettings
    environment: Mapping[str, str] = field(repr=False)
    """All variables of the process; those that hold settings too."""

    @property
    def name(self) -> str:
        return f"{self.command}:{self.way}" if self.way else self.command

    async def attempt(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path) -> Outcome:
        with TemporaryDirectory(prefix="scratch-", dir=directory, ignore_cleanup_errors=True) as scratch:
            recording = await Recording.start(workspace.tree, Path(scratch))
            started = time.monotonic()
            code = await self._child(instance, workspace, terms, directory, Path(scratch)).run(
                terms.time_limit_s + GRACE_S
            )
            seconds = time.monotonic() - started
            if self.command == "resolve":
                patch = _text_of(_patch_file(Path(scratch)))
            else:
                patch = await recording.patch()
        folded = fold(directory / "events.jsonl")
        exit_reason, detail = folded.end(code, patch, directory / "scaffold.log")
        return Outcome(exit_reason, patch, seconds, detail, folded.steps, folded.usage)

    def _child(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path, scratch: Path) -> Child:
        command = [sys.executable, "-P", "-m", "patchwright.cli.main", self.command, "-", "--json"]
        command += ["--time-limit", str(terms.time_limit_s)]
        if workspace.test_command:
            command += ["--test-command", workspace.test_command]
        if self.way:
            command += ["--strategy" if self.command == "resolve" else "--profile", self.way]
        if self.command == "resolve":
            command += ["--patch", str(_patch_file(scratch)), "--seed", str((terms.number - 1) * SEEDS_APART)]
        return Child(
            command=command,
            directory=workspace.tree,
            environment=self._variables(workspace, scratch),
            stdout=directory / "events.jsonl",
            stderr=directory / "scaffold.log",
            stdin=instance.problem_statement.encode("utf-8", "replace"),
        )

    def _variables(self, workspace: Workspace, scratch: Path) -> dict[str, str]:
        return {
            **self.environment,
            "PATCHWRIGHT_STATE_DIR": str(_own_state(scratch, self.state_dir)),
            "PATCHWRIGHT_SANDBOX": sandboxed(self.sandbox, workspace).model_dump_json(),
        }


def sandboxed(settings: SandboxSettings, workspace: Workspace) -> SandboxSettings:
    """The user's sandbox, with the instance's environment in it and without what gives the answers away."""
    return settings.model_copy(
        update={
            "path": workspace.path,
            "environment": {**settings.environment, **workspace.environment},
            "readable": (*settings.readable, *workspace.readable),
            "hidden": (*settings.hidden, *workspace.hidden),
        }
    )


def _own_state(scratch: Path, shared: Path) -> Path:
    """A state directory for one attempt, in which the engines are everybody's."""
    state = scratch / "state"
    state.mkdir()
    (state / "engines").symlink_to(engines_directory(shared))
    return state


def _patch_file(scratch: Path) -> Path:
    return scratch / "patch.diff"


def _text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
