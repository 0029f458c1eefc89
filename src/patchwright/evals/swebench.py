"""The SWE-bench family as a benchmark, with environments on this machine or the official images."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from patchwright.errors import BenchmarkError, ConfigError
from patchwright.evals.base import Workspace
from patchwright.evals.environments import Environment, Environments
from patchwright.evals.grading import GRADING_LOG, graded, official_script
from patchwright.evals.images import Images
from patchwright.evals.official import Outcome, run_official
from patchwright.evals.recipes import install_config_of
from patchwright.evals.rows import kept_rows, read_rows
from patchwright.evals.smith import check_profile, hidden_tests, without_profile
from patchwright.evals.trees import Trees, commit_all, is_made
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Grade, Instance, Prediction

TEST_TIMEOUT_S = 1800.0
"""As the official harness has it."""

NO_RECIPE = "nothing says how an environment to work in is made on this machine"
NO_TESTS = "nothing says how it is tested, or how the output of its tests is read"


class SweBench:
    """Instances of a file or a dataset of the SWE-bench family.

    With `images`, patches are graded in the official containers, and `instances` raises ConfigError when one names no
    image; without, in an environment of this machine.
    """

    def __init__(
        self,
        source: str,
        trees: Trees,
        environments: Environments,
        *,
        sandbox: SandboxSettings | None = None,
        images: Images | None = None,
        test_timeout_s: float = TEST_TIMEOUT_S,
    ) -> None:
        self.name = Path(source).stem
        self._source = source
        self._trees = trees
        self._environments = environments
        self._sandbox = sandbox or SandboxSettings()
        self._images = images
        self._test_timeout_s = test_timeout_s
        self._instances: tuple[Instance, ...] | None = None

    def instances(self) -> Sequence[Instance]:
        if self._instances is None:
            self._instances = read_rows(self._source)
            if self._images and (other := next((each for each in self._instances if not each.image), None)):
                hint = "grade in this machine's own environments, with --environments local"
                raise ConfigError(f"{other.instance_id} names no official image", hint=hint)
        return self._instances

    async def prepare(self, instance: Instance, directory: Path) -> Workspace:
        """The project's own tests may be run where the tests that show the problem have been taken out of them (the
        forge's rows). Elsewhere those are not there yet, and which files they are in tells where to look.
        """
        tree, environment = await self._made(instance, directory, without=hidden_tests(instance))
        return Workspace(
            tree=tree,
            path=environment.path,
            environment=environment.variables,
            readable=environment.readable,
            hidden=(*self._trees.sources, *kept_rows(self._source)),
            test_command=_test_command(instance),
        )

    async def grade(self, instance: Instance, prediction: Prediction, directory: Path) -> Grade:
        started = time.monotonic()
        await asyncio.to_thread(check_profile, instance)
        script = await asyncio.to_thread(official_script, instance)
        outcome = await self._run(instance, prediction.model_patch, script, directory)
        log = directory / GRADING_LOG
        # As the official harness has it: swebench reads no other than UTF-8.
        log.write_text(outcome.log.decode("utf-8", "replace"), encoding="utf-8", newline="")
        grade = await asyncio.to_thread(_grade_of, instance, prediction, outcome, log, self._test_timeout_s)
        return grade.model_copy(update={"duration_s": round(time.monotonic() - started, 2)})

    async def _run(self, instance: Instance, patch: str, script: str, directory: Path) -> Outcome:
        if self._images:
            return await self._images.run(instance.image, script, patch, timeout_s=self._test_timeout_s)
        tree, environment = await self._made(instance, directory)
        return await run_official(
            script,
            patch,
            tree,
            environment,
            self._sandbox,
            base_commit=instance.base_commit,
            not_applied=hidden_tests(instance),
            timeout_s=self._test_timeout_s,
        )

    async def _made(
        self, instance: Instance, directory: Path, *, without: Sequence[str] = ()
    ) -> tuple[Path, Environment]:
        config = install_config_of(instance)
        if config is None:
            raise BenchmarkError(
                f"nothing says how an environment for {instance.repo} {instance.version} is made",
                hint="a row can bring an install_config; in the official image, with Docker, it can be graded without",
            )
        # The official images have it there by this name, too: some tests look at it.
        tree = directory / "testbed"
        await self._trees.lay_out(instance, tree, without=without)
        environment = await self._environments.built(config, tree, name=f"{instance.repo} {instance.version}".strip())
        await commit_all(tree)
        return tree, environment


def reasons_against(instances: Sequence[Instance]) -> Mapping[str, str]:
    """Why some cannot be worked on and graded on this machine whatever their patch is, by id."""
    no_tests = {each.instance_id: NO_TESTS for each in instances if not (each.eval_script and each.log_parser)}
    no_environment = {each.instance_id: NO_RECIPE for each in instances if install_config_of(each) is None}
    return {**no_tests, **no_environment, **without_profile(instances)}


def _test_command(instance: Instance) -> str | None:
    if instance.install_config is None or not (is_made(instance) and instance.test_patch.strip()):
        return None
    return instance.install_config.test_cmd or None


def _grade_of(instance: Instance, prediction: Prediction, outcome: Outcome, log: Path, timeout_s: float) -> Grade:
    if not outcome.applied:
        last = next(reversed(outcome.log.decode("utf-8", "replace").strip().splitlines()), "")
        problem = f"the patch does not apply: {last}"
        return Grade(instance_id=instance.instance_id, resolved=False, problem=problem)
    if outcome.timed_out:
        problem = f"the tests took more than {timeout_s:g} s"
        return Grade(instance_id=instance.instance_id, resolved=False, problem=problem)
    return graded(instance, prediction, log)
