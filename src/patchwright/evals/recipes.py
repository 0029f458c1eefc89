"""Recipes for repositories whose rows say neither how an environment is made nor how tests are run: recipes.toml."""

import re
import shlex
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from patchwright.evals.eval_script import changed_files
from patchwright.schema.instance import InstallConfig, Instance
from patchwright.schema.record import Record


class Recipe(Record):
    """An environment for some versions of a repository, and their tests."""

    repo: str
    first: str
    last: str
    """The versions that it is for, both among them."""
    python: str
    pip_packages: tuple[str, ...] = ()
    pre_install: tuple[str, ...] = ()
    install: str = ""
    test_cmd: str
    """Its arguments are the files of Python that the test patch changes."""
    modules_of: str = ""
    """Where tests are named as modules, and not as files: the directory that these are in."""
    log_parser: str

    def fits(self, repo: str, version: str) -> bool:
        return repo == self.repo and _parts(self.first) <= _parts(version) <= _parts(self.last)

    def config(self, version: str) -> InstallConfig:
        return InstallConfig(
            python=self.python,
            pip_packages=self.pip_packages,
            pre_install=self.pre_install,
            install=self.install.replace("{version}", version),
        )

    def test_command(self, test_patch: str) -> str:
        files = [path for path in changed_files(test_patch) if path.endswith(".py")]
        return f"{self.test_cmd} {shlex.join(self._module(path) if self.modules_of else path for path in files)}"

    def _module(self, path: str) -> str:
        return path.removesuffix(".py").removeprefix(f"{self.modules_of}/").replace("/", ".")


def install_config_of(instance: Instance) -> InstallConfig | None:
    """The row's own, else the recipe for its version, else None."""
    if instance.install_config is not None:
        return instance.install_config
    found = recipe_of(instance)
    return found.config(instance.version) if found else None


def recipe_of(instance: Instance) -> Recipe | None:
    return next((each for each in recipes() if each.fits(instance.repo, instance.version)), None)


@cache
def recipes() -> Sequence[Recipe]:
    text = (files("patchwright.evals") / "recipes.toml").read_text(encoding="utf-8")
    return tuple(Recipe.model_validate(each) for each in tomllib.loads(text)["recipe"])


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
