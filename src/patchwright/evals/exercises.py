"""Benchmarks of small programs: a few files, their tests, and what of it is to be repaired or written."""

import asyncio
import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from patchwright.errors import BenchmarkError
from patchwright.evals.base import Workspace
from patchwright.repo.git import Git, GitError
from patchwright.repo.testing.suite import Suite
from patchwright.sandbox.kinds import SandboxKind, open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Grade, Instance, Prediction
from patchwright.schema.resolution import SuiteRun

TEST_TIMEOUT_S = 60.0
"""A program that repairs a sort or a search answers within seconds; one that runs for ever is wrong."""


@dataclass(frozen=True)
class Exercise:
    """One problem. Paths are relative to the top of its tree."""

    instance: Instance
    files: Mapping[str, str]
    """The whole tree, tests included."""
    solution: tuple[str, ...]
    """What is to be changed: the tests are run with these files of a prediction, and with nothing else of it."""
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Exercises:
    """The Benchmark protocol over exercises whose tests are pytest's. `path` is where a Python with pytest is."""

    name: str
    exercises: Sequence[Exercise]
    path: str
    hidden: tuple[Path, ...] = ()
    """Where the answers are."""
    sandbox: SandboxKind = "bubblewrap"
    settings: SandboxSettings = field(default_factory=SandboxSettings)
    """Of the sandbox that grades; its path and what it hides are added."""

    def instances(self) -> Sequence[Instance]:
        return [exercise.instance for exercise in self.exercises]

    async def prepare(self, instance: Instance, directory: Path) -> Workspace:
        exercise = self._exercise(instance)
        tree = directory / instance.instance_id
        await asyncio.to_thread(_write, tree, exercise.files)
        await _commit(tree)
        return Workspace(tree=tree, path=self.path, hidden=self.hidden, test_command=_test_command(exercise))

    async def grade(self, instance: Instance, prediction: Prediction, directory: Path) -> Grade:
        """Runs the tests of a pristine tree with the prediction's solution files in it."""
        exercise = self._exercise(instance)
        loop = asyncio.get_running_loop()
        started = loop.time()
        patched, pristine = directory / "patched", directory / instance.instance_id
        await asyncio.to_thread(_write, patched, exercise.files)
        try:
            await _apply(patched, prediction.model_patch)
        except GitError as error:
            return _grade(exercise, False, f"the patch does not apply: {error}", loop.time() - started)
        await asyncio.to_thread(_write, pristine, exercise.files)
        await asyncio.to_thread(_take_over, exercise.solution, patched, pristine)
        hidden = (*self.settings.hidden, *self.hidden)
        settings = self.settings.model_copy(update={"path": self.path, "hidden": hidden})
        async with open_sandbox(self.sandbox, pristine, settings) as sandbox:
            run = await Suite(_test_command(exercise), sandbox).run(timeout_s=TEST_TIMEOUT_S)
        (directory / "grading.log").write_text(run.output, encoding="utf-8")
        if run.exit_code in _NO_TESTS:
            raise BenchmarkError(f"the tests of {instance.instance_id} cannot be run: {run.output[-300:].strip()}")
        problem = f"the tests took more than {TEST_TIMEOUT_S:g} s" if run.timed_out else ""
        return _grade(exercise, _all_pass(run), problem, loop.time() - started)

    def _exercise(self, instance: Instance) -> Exercise:
        return next(exercise for exercise in self.exercises if exercise.instance.instance_id == instance.instance_id)


_NO_TESTS = (4, 126, 127)
"""pytest used badly, and a shell that finds no Python: nothing that a patch to a module can cause."""
_SUMMARY = re.compile(r"^\d+ passed\b", re.MULTILINE)


def _all_pass(run: SuiteRun) -> bool:
    """A program can make pytest exit with 0 before it has come to the tests, or to the last of them."""
    outcomes = set(run.outcomes.values())
    return run.exit_code == 0 and "passed" in outcomes <= {"passed", "skipped"} and bool(_SUMMARY.search(run.output))


def gold_patch(files: Mapping[str, str], solved: Mapping[str, str]) -> str:
    """The way from one to the other as a unified diff. Every text ends with a newline."""
    return "".join(
        f"diff --git a/{path} b/{path}\n"
        + "".join(difflib.unified_diff(_lines(files[path]), _lines(text), f"a/{path}", f"b/{path}"))
        for path, text in solved.items()
        if text != files[path]
    )


def _lines(text: str) -> list[str]:
    """As git has them: a form feed or U+2028 ends none."""
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")]


def text_of(path: Path, within: Path) -> str:
    """A file's text with a newline at its end. Raises BenchmarkError, also where a symlink leads out of `within`."""
    try:
        if not path.resolve(strict=True).is_relative_to(within.resolve()):
            raise BenchmarkError(f"{path} leads out of {within}")
        if not path.is_file():
            raise BenchmarkError(f"{path} is no file")
        return path.read_text(encoding="utf-8").rstrip("\n") + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: {error}") from None


async def check_pytest(path: str) -> None:
    """Raises BenchmarkError when the Python on this PATH has no pytest: everything would fail without a test run."""
    command = ("python", "-c", "import pytest")
    try:
        process = await asyncio.create_subprocess_exec(
            *("env", f"PATH={path}", *command),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        code = await process.wait()
    except OSError as error:
        raise BenchmarkError(f"env: {error}") from None
    if code:
        raise BenchmarkError(
            "the `python` on PATH has no pytest, which runs the tests of this benchmark",
            hint="activate an environment that has it",
        )


def _test_command(exercise: Exercise) -> str:
    return f"python -m pytest -q -p no:cacheprovider {shlex.join(exercise.tests)}"


def _write(tree: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8", newline="")


async def _commit(tree: Path) -> None:
    git = Git(tree)
    await git.run("init", "--quiet", "--initial-branch=main")
    await git.run("add", "--all", "--force")
    await git.run("commit", "--quiet", "--message=start")


async def _apply(tree: Path, patch: str) -> None:
    """Raises GitError when it does not apply."""
    git = Git(tree)
    await git.run("init", "--quiet")
    if patch.strip():
        await git.run("apply", "--whitespace=nowarn", "-", stdin=patch.encode("utf-8", "surrogateescape"))


def _take_over(names: Sequence[str], source: Path, target: Path) -> None:
    """Regular files alone: a symlink in a patch, to a file or to a directory on the way to it, may lead anywhere."""
    for name in names:
        (target / name).unlink()
        given = source / name
        if given.is_file() and given.resolve() == source.resolve() / name:
            (target / name).write_bytes(given.read_bytes())


def _grade(exercise: Exercise, resolved: bool, problem: str, duration_s: float) -> Grade:
    return Grade(
        instance_id=exercise.instance.instance_id, resolved=resolved, problem=problem, duration_s=round(duration_s, 3)
    )
