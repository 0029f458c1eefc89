"""Recipes for the environments of repositories whose rows don't bring one: recipes.toml."""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from patchwright.schema.instance import InstallConfig, Instance
from patchwright.schema.record import Record


class Recipe(Record):
    """An environment for some versions of a repository."""

    repo: str
    first: str
    last: str
    """The versions that it is for, both among them."""
    python: str
    pip_packages: tuple[str, ...] = ()
    pre_install: tuple[str, ...] = ()
    install: str = ""

    def fits(self, repo: str, version: str) -> bool:
        return repo == self.repo and _parts(self.first) <= _parts(version) <= _parts(self.last)

    def config(self, version: str) -> InstallConfig:
        return InstallConfig(
            python=self.python,
            pip_packages=self.pip_packages,
            pre_install=self.pre_install,
            install=self.install.replace("{version}", version),
        )


def install_config_of(instance: Instance) -> InstallConfig | None:
    """The row's own, else the recipe for its version, else None."""
    if instance.install_config is not None:
        return instance.install_config
    found = next((each for each in recipes() if each.fits(instance.repo, instance.version)), None)
    return found.config(instance.version) if found else None


@cache
def recipes() -> Sequence[Recipe]:
    text = (files("patchwright.evals") / "recipes.toml").read_text(encoding="utf-8")
    return tuple(Recipe.model_validate(each) for each in tomllib.loads(text)["recipe"])


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
