"""`patchwright eval forge`: instances made from a tested Python project."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence, Set

    from patchwright.config import Settings
    from patchwright.evals.forge.forge import Forge, Tried
    from patchwright.evals.forge.recipe import Package

DEFAULT_TESTS = "python -m pytest -rA"


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    packages: Sequence[Package]
    seed: int
    out: Path
    workers: int


def forge(
    source: Annotated[str, typer.Argument(help="NAME==VERSION, an sdist, a git repository, or a recipe (.toml).")],
    count: Annotated[int, typer.Option(min=1, help="So many instances.")] = 10,
    seed: Annotated[int, typer.Option(help="Decides what is broken; the same seed, the same instances.")] = 0,
    python: Annotated[str | None, typer.Option(help="The Python version; this one's when not given.")] = None,
    package: Annotated[list[str] | None, typer.Option(help="What the tests need: a requirement, pinned.")] = None,
    install: Annotated[str, typer.Option(help="Installs the project, in its tree.")] = "python -m pip install -e .",
    test_command: Annotated[str, typer.Option(help="Runs the tests with pytest, and with -rA.")] = DEFAULT_TESTS,
    only: Annotated[str | None, typer.Option(help="The package of this name of the recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the rows are kept: a .jsonl file.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Mutations tried at once.")] = 2,
) -> None:
    """Break a project's functions where its tests notice, and write each as a row in SWE-bench's format.

    The issue text is made of a program that shows the fault, what it prints, and what it should print. It names neither
    the function nor the test. The failing tests are taken out of the tree that is to be worked on. Rows that are in
    --out already are kept, and a package that has its share of them is left alone.
    Exit codes: 0 all instances are there, 1 some, 2 usage, 3 none, 130 interrupted.
    """
    from patchwright.config import load_settings
    from patchwright.errors import ConfigError
    from patchwright.evals.forge.recipe import Recipe, read_recipe

    if out is not None and out.suffix != ".jsonl":
        raise ConfigError(f"{out} does not end in .jsonl", hint="rows are a line of JSON each: name a .jsonl file")
    _check_extra()
    if source.endswith(".toml"):
        recipe = read_recipe(Path(source))
    else:
        needed = tuple(package or ["pytest"])
        recipe = Recipe(seed=seed, packages=(_package(source, count, python, needed, install, test_command),))
    name = Path(source).stem if source.endswith(".toml") else recipe.packages[0].name
    chosen = _chosen(recipe.packages, only, source)
    options = Options(packages=chosen, seed=recipe.seed, out=out or Path(f"{name}.jsonl"), workers=workers)
    raise typer.Exit(asyncio.run(_forge(options, load_settings())))


def _check_extra() -> None:
    """Raises BenchmarkError when swesmith is not there, whose mutators the forge has: before anything is written."""
    from patchwright.errors import BenchmarkError
    from patchwright.evals.uv import EXTRA_HINT

    try:
        import_module("patchwright.evals.forge.mutations")
    except ImportError as error:
        raise BenchmarkError(f"swesmith cannot be imported: {error}", hint=EXTRA_HINT) from None


def _package(
    source: str, count: int, python: str | None, packages: tuple[str, ...], install: str, test_command: str
) -> Package:
    from patchwright.errors import ConfigError
    from patchwright.evals.forge.recipe import Package
    from patchwright.evals.forge.workshop import named
    from patchwright.schema.instance import InstallConfig

    config = InstallConfig(
        python=python or f"{sys.version_info.major}.{sys.version_info.minor}",
        pip_packages=packages,
        install=install,
        test_cmd=test_command,
    )
    if Path(source).is_dir():
        directory = Path(source).resolve()
        return Package(name=directory.name, repository=str(directory), count=count, install=config)
    if not (found := named(source)):
        raise ConfigError(
            f"{source} is no project", hint="name NAME==VERSION, NAME-VERSION.tar.gz, a git repository or a recipe.toml"
        )
    return Package(name=found[0], version=found[1], archive=_archive(source), count=count, install=config)


def _archive(source: str) -> str:
    from patchwright.errors import ConfigError

    if "==" in source:
        return ""
    if not Path(source).is_file():
        raise ConfigError(f"{source}: no such file")
    return str(Path(source).resolve())


def _chosen(packages: Sequence[Package], only: str | None, source: str) -> Sequence[Package]:
    from patchwright.errors import ConfigError

    chosen = [each for each in packages if only in (None, each.name)]
    if only is not None and not chosen:
        known = ", ".join(each.name for each in packages)
        raise ConfigError(f"{source} has no package {only}", hint=f"there are {known}")
    return chosen


async def _forge(options: Options, settings: Settings) -> int:
    from patchwright.errors import ConfigError
    from patchwright.lock import try_lock

    with try_lock(options.out) as lock:
        if lock is None:
            hint = "wait for it to end, or name another file with --out"
            raise ConfigError(f"another forge is writing {options.out}", hint=hint)
        return await _forge_packages(options, settings)


async def _forge_packages(options: Options, settings: Settings) -> int:
    from patchwright.cli.exit_codes import DONE, INFRASTRUCTURE, INTERRUPTED
    from patchwright.cli.interrupts import interrupts
    from patchwright.evals.forge.row import read_again

    made = {each.instance_id for each in read_again(options.out)}
    stop = asyncio.Event()
    with interrupts(stop):
        for package in options.packages:
            if not stop.is_set() and _missing(package, made):
                await _forge_package(package, options, settings, made, stop)
    wanted = sum(len(set(each.ids)) or each.count for each in options.packages)
    missing = sum(_missing(each, made) for each in options.packages)
    print(f"{wanted - missing} of {wanted} instances in {options.out}", file=sys.stderr)
    if stop.is_set():
        return INTERRUPTED
    if missing == wanted:
        return INFRASTRUCTURE
    return 1 if missing else DONE


def _missing(package: Package, made: Set[str]) -> int:
    """How many instances of the package are still to be made. The file may have those of others, too."""
    if package.ids:
        return len(set(package.ids) - made)
    own = [each for each in made if each.rpartition(".")[0] == f"{package.name}-{package.version}"]
    return max(0, package.count - len(own))


async def _forge_package(
    package: Package, options: Options, settings: Settings, made: set[str], stop: asyncio.Event
) -> None:
    from patchwright.evals.environments import Environments
    from patchwright.evals.forge.workshop import Workshop
    from patchwright.evals.trees import Trees

    cache = settings.data_dir / "evals"
    repos = Path(package.repository).parent if package.repository else None
    workshop = Workshop(Trees(cache, repos=repos), Environments(cache / "environments"), settings.sandbox)
    print(f"{package.name} {package.version}: making the environment, running the tests", file=sys.stderr)
    async with workshop.forge(package, options.seed, options.workers) as forge:
        print(f"{package.name} {package.version}: {len(forge.ground.passing)} tests pass", file=sys.stderr)
        async with aclosing(_tries(forge, package, made)) as tries:
            async for tried in tries:
                _keep(tried, options.out, made)
                if stop.is_set() or not _missing(package, made):
                    return


def _tries(forge: Forge, package: Package, made: set[str]) -> AsyncGenerator[Tried]:
    return forge.remade([each for each in package.ids if each not in made]) if package.ids else forge.run()


def _keep(tried: Tried, out: Path, made: set[str]) -> None:
    """Writes the row, if there is a new one, before it is shown."""
    from patchwright.evals.forge.row import row_of

    names = ", ".join(f"{site.mutator} of {site.name}" for site in tried.sites)
    instance = tried.instance
    if instance is None or instance.instance_id in made:
        reason = tried.reason or "made before"
        print(f"  {names}: {reason}" if names else f"  {reason}", file=sys.stderr)
        return
    with out.open("a", encoding="utf-8") as file:
        file.write(row_of(instance) + "\n")
    made.add(instance.instance_id)
    print(f"  {names}: {instance.instance_id} ({instance.difficulty})", file=sys.stderr)
