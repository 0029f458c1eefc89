"""The workshop: gets a project ready to be broken, and makes its instances."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from patchwright.errors import BenchmarkError
from patchwright.evals.environments import Environments
from patchwright.evals.forge.forge import Forge
from patchwright.evals.forge.ground import Ground
from patchwright.evals.forge.origin import Origin
from patchwright.evals.forge.recipe import Package
from patchwright.evals.forge.trial import Project
from patchwright.evals.trees import Trees, commit_all, sha256_of
from patchwright.repo.work_tree import find_work_tree
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Instance

_SDIST = re.compile(r"(?P<name>[A-Za-z0-9._-]+?)-(?P<version>[0-9][A-Za-z0-9.!+]*)\.tar\.gz")


@dataclass(frozen=True)
class Workshop:
    """Projects by what a recipe or a user says of them."""

    trees: Trees
    environments: Environments
    sandbox: SandboxSettings

    @asynccontextmanager
    async def forge(self, package: Package, seed: int, at_once: int) -> AsyncGenerator[Forge]:
        """The package's tree in a directory of its own, its environment, and its tests run.

        Raises BenchmarkError when there is no such version, it cannot be installed, or its tests do not pass; and
        SandboxError.
        """
        origin = await self._origin(package)
        source = Instance(
            instance_id=f"{origin.name}-{origin.version}",
            repo=origin.repo,
            base_commit=origin.base_commit,
            version=origin.version,
            problem_statement="",
            patch="",
        )
        with TemporaryDirectory(prefix="patchwright-forge-", ignore_cleanup_errors=True) as directory:
            tree = Path(directory) / "testbed"
            await self.trees.lay_out(source, tree)
            name = f"{origin.repo} {origin.version}"
            environment = await self.environments.built(origin.install_config, tree, name=name)
            await commit_all(tree)
            project = Project(tree, environment, origin.install_config.test_cmd, self.sandbox)
            yield Forge(project, await Ground.of(project), origin, seed, at_once)

    async def _origin(self, package: Package) -> Origin:
        repository = Path(package.repository) if package.repository else None
        if repository is None:
            archive = Path(package.archive) if package.archive else None
            sdist = await self.trees.sdist(package.name, package.version, archive)
            repo, commit = f"pypi/{package.name}", sha256_of(sdist)
        else:
            work_tree = await find_work_tree(repository)
            if work_tree.head is None:
                raise BenchmarkError(f"{repository} has no commit yet", hint="instances are made of what is committed")
            # SWE-smith's name for a copy of a repository at a commit: its rows are read in the same way.
            repo, commit = f"swesmith/{package.name}__{package.name}.{work_tree.head[:12]}", work_tree.head
        return Origin(
            name=package.name, version=package.version, repo=repo, base_commit=commit, install_config=package.install
        )


def named(source: str) -> tuple[str, str] | None:
    """Name and version of NAME==VERSION or of the file of a source distribution; None for anything else."""
    name, equal, version = source.partition("==")
    if equal and name and version:
        return name.strip(), version.strip()
    found = _SDIST.fullmatch(Path(source).name)
    return (found["name"], found["version"]) if found else None
