"""`patchwright eval run`: every instance of a benchmark, worked on by one scaffold with one model, and graded."""

import asyncio
import json
import os
import platform
import shlex
import sys
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from patchwright import __version__
from patchwright.agent.profile import PROFILES
from patchwright.cli.assemble import engine_of
from patchwright.cli.eval_options import LONGEST_S, names_of
from patchwright.cli.eval_progress import showing
from patchwright.cli.exit_codes import DONE, INTERRUPTED
from patchwright.cli.interrupts import interrupts
from patchwright.cli.resolve import StrategyName
from patchwright.config import CONFIG_FILE_VARIABLE, Settings, load_settings
from patchwright.engines.base import Engine
from patchwright.errors import ConfigError
from patchwright.evals.base import Benchmark, named
from patchwright.evals.exercises import Exercises, check_pytest
from patchwright.evals.images import images_for
from patchwright.evals.registry import Places, benchmark_named, verdicts
from patchwright.evals.rows import rows_hash
from patchwright.evals.run.directory import RunDirectory
from patchwright.evals.run.on_ray import OnRay, Reservation, cluster
from patchwright.evals.run.runner import Runner
from patchwright.evals.run.tally import Tally
from patchwright.evals.run.work import Here, Place
from patchwright.evals.scaffolds.base import Scaffold
from patchwright.evals.scaffolds.foreign import Foreign
from patchwright.evals.scaffolds.patchwright import Patchwright
from patchwright.evals.scaffolds.recipes import RECIPES
from patchwright.evals.swebench import SweBench, reasons_against
from patchwright.evals.validation import Validation
from patchwright.schema.attempt import Attempt, Environments, RunFacts
from patchwright.schema.endpoint import shown
from patchwright.schema.instance import Instance

OWN: Mapping[str, tuple[Literal["run", "resolve"], str]] = {
    "run": ("run", ""),
    **{f"run:{profile}": ("run", profile) for profile in PROFILES},
    "resolve": ("resolve", ""),
    **{f"resolve:{strategy}": ("resolve", strategy) for strategy in get_args(StrategyName)},
}
"""Patchwright's own scaffolds: the command, and the profile or the strategy."""


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    benchmark: str
    scaffold: str
    attempts: int
    workers: int
    time_limit_s: float
    only: tuple[str, ...]
    limit: int | None
    out: Path
    repos: Path | None
    environments: Environments
    test_timeout_s: float
    retry_errors: bool
    ray: str | None
    reservation: Reservation


def run(
    benchmark: Annotated[
        str,
        typer.Argument(
            help="quixbugs:PLACE, polyglot:PLACE, exercism:PLACE or humanevalfix:PLACE (a path or a URL), or "
            "rows of the SWE-bench family: a .jsonl, .json or .parquet file, or a dataset on Hugging Face.",
            metavar="BENCH",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run's directory; with one that is there, the run goes on.")],
    scaffold: Annotated[
        str,
        typer.Option(
            "--scaffold",
            "--strategy",
            help="Whose agent works: `run`, `run:PROFILE`, `resolve` and `resolve:STRATEGY` are Patchwright's; "
            "see docs/eval-run.md.",
        ),
    ] = "run",
    model: Annotated[str | None, typer.Option(help="See `patchwright model list`; or a .gguf file.")] = None,
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint to use instead.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds the endpoint's key.")] = None,
    attempts: Annotated[int, typer.Option(min=1, help="Attempts at each instance.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Attempts at once.")] = 1,
    time_limit: Annotated[
        float, typer.Option(min=1, max=LONGEST_S, help="Seconds for each attempt, grading not counted.")
    ] = 600,
    only: Annotated[str, typer.Option(help="These instances alone: ids, or what stands after `__`, by commas.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many instances.")] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Make the attempts again that ended with an error.")
    ] = False,
    repos: Annotated[
        Path | None, typer.Option(help="For rows: a directory of git mirrors.", exists=True, file_okay=False)
    ] = None,
    environments: Annotated[
        Environments,
        typer.Option(help="Where rows are graded: this machine's own environments, or the official Docker images."),
    ] = "local",
    timeout: Annotated[
        float, typer.Option(min=1, max=LONGEST_S, help="For rows: seconds at most for one run of the tests.")
    ] = 1800,
    ray: Annotated[
        str | None, typer.Option(help="Work on the Ray cluster at this address; `local` starts one.", metavar="ADDRESS")
    ] = None,
    ray_cpus: Annotated[float, typer.Option(min=0, max=1e6, help="CPUs that a task on Ray holds.")] = 1.0,
    ray_memory: Annotated[float, typer.Option(min=0, max=1e6, help="GiB of memory that a task on Ray holds.")] = 2.0,
) -> None:
    """Let a scaffold work on the instances of BENCH, and grade what it makes of them.

    An attempt that is over is kept: when the run is interrupted, the same command goes on with the rest. Exit codes:
    0 all attempts are over, 2 usage, 3 infrastructure, 130 interrupted.
    """
    settings = load_settings(model=model, base_url=base_url, api_key_env=api_key_env)
    options = Options(
        benchmark=benchmark,
        scaffold=scaffold,
        attempts=attempts,
        workers=workers,
        time_limit_s=time_limit,
        only=names_of(only),
        limit=limit,
        out=out,
        repos=repos,
        environments=environments,
        test_timeout_s=timeout,
        retry_errors=retry_errors,
        ray=ray,
        reservation=Reservation(ray_cpus, int(ray_memory * 2**30)),
    )
    raise typer.Exit(asyncio.run(_run(options, settings)))


async def _run(options: Options, settings: Settings) -> int:
    images = await images_for(options.environments, settings.sandbox.docker)
    places = Places(
        settings.sandbox.path,
        settings.data_dir / "evals",
        options.repos,
        settings.sandbox,
        images=images,
        test_timeout_s=options.test_timeout_s,
    )
    benchmark = benchmark_named(options.benchmark, places)
    if isinstance(benchmark, Exercises):
        await check_pytest(benchmark.path)
    chosen = named(benchmark.instances(), options.only)[: options.limit]
    known = verdicts(benchmark, places)
    directory = RunDirectory(options.out)
    reasons = _reasons(benchmark, chosen, known, directory.facts())
    instances = [instance for instance in chosen if instance.instance_id not in reasons]
    if not instances:
        name, reason = next(iter(reasons.items()))
        raise ConfigError(
            f"this machine can grade none of the instances: {name}: {reason}",
            hint=f"`{_validate(options)}` tries again",
        )
    engine = engine_of(settings)
    scaffold = scaffold_named(options.scaffold, settings, engine)
    endpoint = await engine.connect()
    facts = RunFacts(
        name=options.out.resolve().name,
        benchmark=benchmark.name,
        model=endpoint.model,
        scaffold=scaffold.name,
        attempts=options.attempts,
        time_limit_s=options.time_limit_s,
        test_timeout_s=options.test_timeout_s,
        instance_ids=tuple(instance.instance_id for instance in instances),
        rows=rows_hash(instances),
        excluded=reasons,
        graded_in=options.environments,
        validated=sum(instance.instance_id in known for instance in instances),
        machine=f"{platform.node()}, {os.cpu_count()} cores",
        patchwright=__version__,
        command=shlex.join(["patchwright", *map(shown, sys.argv[1:])]),
    )
    if unknown := len(instances) - (facts.validated or 0):
        hint = f"`{_validate(options)}` before the run finds those that cannot be graded"
        typer.echo(f"{unknown} of {len(instances)} instances were never validated here; {hint}", err=True)
    with directory.open(facts), _place(options, benchmark, scaffold) as place:
        if options.retry_errors:
            directory.forget_errors()
        attempts = Runner(facts, instances, directory, place).run(options.workers)
        code = await _consume(attempts, Tally.of(facts, directory.attempts()))
        if code == DONE and isinstance(benchmark, SweBench):
            await asyncio.to_thread(directory.write_official_reports, facts, instances)
        return code


def _reasons(
    benchmark: Benchmark, chosen: Sequence[Instance], known: Mapping[str, Validation], there: RunFacts | None
) -> dict[str, str]:
    """Why instances do not count, by id. A run that goes on keeps to what was known when it began."""
    if there is not None:
        reasons = there.excluded
    else:
        reasons = {each.instance_id: each.why_not for each in known.values() if not each.gradable}
        if isinstance(benchmark, SweBench):  # work is done in environments of this machine, whatever grades it
            reasons |= reasons_against(chosen)
    return {each.instance_id: reasons[each.instance_id] for each in chosen if each.instance_id in reasons}


def _validate(options: Options) -> str:
    """The command that validates what this one runs."""
    command = ["patchwright", "eval", "validate", options.benchmark]
    command += ["--repos", str(options.repos)] if options.repos else []
    command += ["--environments", options.environments] if options.environments != "local" else []
    return shlex.join(map(shown, command))


async def _consume(attempts: AsyncGenerator[Attempt], tally: Tally) -> int:
    stop = asyncio.Event()
    with interrupts(stop), showing(tally) as show:
        stopped = asyncio.create_task(stop.wait())
        async with aclosing(attempts):
            while not stop.is_set():
                following = asyncio.ensure_future(anext(attempts, None))
                await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                elif (attempt := following.result()) is None:
                    break
                else:
                    tally.add(attempt)
                    show(attempt)
        stopped.cancel()
    return INTERRUPTED if stop.is_set() else DONE


@contextmanager
def _place(options: Options, benchmark: Benchmark, scaffold: Scaffold) -> Generator[Place]:
    here = Here(benchmark, scaffold)
    if options.ray is None:
        yield here
        return
    with cluster(options.ray, options.reservation):
        yield OnRay(here, options.reservation)


def scaffold_named(name: str, settings: Settings, engine: Engine) -> Scaffold:
    """Raises ConfigError for a name that nobody knows."""
    if name in OWN:
        command, way = OWN[name]
        return Patchwright(command, way, settings.state_dir, settings.sandbox, variables(settings, os.environ))
    if name in RECIPES:
        environments = settings.data_dir / "scaffolds"
        return Foreign(name, RECIPES[name], engine, environments, settings.sandbox, dict(os.environ))
    raise ConfigError(f"no scaffold {name}", hint=f"there are {', '.join([*OWN, *RECIPES])}")


def variables(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a Patchwright process comes to these settings, whatever its config file says."""
    others = {name: value for name, value in environment.items() if not name.startswith("PATCHWRIGHT_")}
    if settings.api_key_env:
        others |= {name: value for name, value in environment.items() if name == settings.api_key_env}
    known = json.loads(settings.model_dump_json(exclude={"hf_token"}, exclude_unset=True, exclude_none=True))
    own = {
        f"PATCHWRIGHT_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in known.items()
    }
    return {**others, **own, CONFIG_FILE_VARIABLE: os.devnull}
