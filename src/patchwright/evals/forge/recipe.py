"""Recipes: what to make instances of, as a TOML file."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from patchwright.errors import RecordError
from patchwright.schema.instance import InstallConfig
from patchwright.schema.record import Record


class Package(Record):
    """One project of a recipe."""

    name: str
    version: str = ""
    repository: str = ""
    """A git repository on this machine to take instead of the source distribution, as it is at HEAD."""
    archive: str = ""
    """The source distribution's file, where it is not to be fetched."""
    count: int = 10
    """So many instances; 0 where a search found none, so that it is not made again."""
    ids: tuple[str, ...] = ()
    """Where they have been made before: just these, without looking for others."""
    install: InstallConfig
    """`test_cmd` runs pytest with -rA, so that the grader finds every test in its output."""


class Recipe(Record):
    """Projects, and the seed that decides what becomes of them."""

    seed: int = 0
    packages: tuple[Package, ...]


def read_recipe(path: Path) -> Recipe:
    """Raises RecordError that names the file and the field."""
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: {error}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise RecordError(f"{path}: {where}: {problem['msg'].lower()}") from None
