"""`patchwright eval validate`: which instances of a benchmark this machine can grade."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchwright.cli.eval_options import LONGEST_S, names_of
from patchwright.schema.attempt import Environments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patchwright.cli.eval_validate_views import ValidationView
    from patchwright.config import Settings
    from patchwright.evals.base import Benchmark
    from patchwright.evals.validation import Validation
    from patchwright.schema.instance import Instance


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    benchmark: str
    repos: Path | None
    only: tuple[str, ...]
    repo: str | None
    out: Path | None
    workers: int
    again: bool
    environments: Environments
    timeout_s: float


def validate(
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCH",
            help="quixbugs:PLACE, polyglot:PLACE, exercism:PLACE or humanevalfix:PLACE (a path or a URL), or "
            "rows of the SWE-bench family: a .jsonl, .json or .parquet file, or a dataset on Hugging Face.",
        ),
    ],
    repos: Annotated[
        Path | None,
        typer.Option(help="A directory of git mirrors: owner__name, owner/name, …", exists=True, file_okay=False),
    ] = None,
    only: Annotated[str, typer.Option(help="These instances alone: ids, or what stands after `__`, by commas.")] = "",
    repo: Annotated[str | None, typer.Option(help="The instances of this repository: owner/name or name.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the verdicts are kept, a line of JSON for each.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Instances at once.")] = 1,
    again: Annotated[bool, typer.Option(help="Try those again that could not be graded.")] = False,
    environments: Annotated[
        Environments, typer.Option(help="This machine's own environments, or the official Docker images.")
    ] = "local",
    timeout: Annotated[
        float, typer.Option(min=1, max=LONGEST_S, help="For rows: seconds at most for one run of the tests.")
    ] = 1800,
) -> None:
    """Run the gold patch and the base of each instance, and list what this machine can grade.

    An instance counts where its gold patch is resolved and its base is not. What has a verdict is not done again,
    unless with --again; what could not be built or found has none. Exit codes: 0 at least one can be graded, 2 usage,
    3 none can, 130 interrupted.
    """
    from patchwright.config import load_settings

    options = Options(benchmark, repos, names_of(only), repo, out, workers, again, environments, timeout)
    raise typer.Exit(asyncio.run(_validate(options, load_settings())))


async def _validate(options: Options, settings: Settings) -> int:
    from patchwright.cli.eval_validate_views import showing_validation
    from patchwright.cli.exit_codes import DONE, INFRASTRUCTURE, INTERRUPTED
    from patchwright.cli.interrupts import interrupts
    from patchwright.evals.exercises import Exercises, check_pytest
    from patchwright.evals.images import images_for
    from patchwright.evals.registry import Places, benchmark_named, verdicts_file
    from patchwright.evals.validation import read_validations

    places = Places(
        settings.sandbox.path,
        settings.data_dir / "evals",
        options.repos,
        settings.sandbox,
        images=await images_for(options.environments, settings.sandbox.docker),
        test_timeout_s=options.timeout_s,
    )
    benchmark = benchmark_named(options.benchmark, places)
    if isinstance(benchmark, Exercises):
        await check_pytest(benchmark.path)
    instances = _chosen(benchmark.instances(), options)
    out = options.out or verdicts_file(benchmark, places)
    known = read_validations(out, instances)
    done = {
        each.instance_id: verdict
        for each in instances
        if (verdict := known.get(each.instance_id)) and (verdict.gradable or (verdict.graded and not options.again))
    }
    stop = asyncio.Event()
    with interrupts(stop), showing_validation(instances, done) as view:
        todo = [each for each in instances if each.instance_id not in done]
        done |= await _validated(benchmark, todo, out, view, options.workers, stop)
    view.table([done[each.instance_id] for each in instances if each.instance_id in done], out)
    if stop.is_set():
        return INTERRUPTED
    return DONE if any(each.gradable for each in done.values()) else INFRASTRUCTURE


def _chosen(instances: Sequence[Instance], options: Options) -> Sequence[Instance]:
    from patchwright.errors import ConfigError
    from patchwright.evals.base import check_ids, named

    check_ids(each.instance_id for each in instances)
    chosen = [
        each
        for each in named(instances, options.only)
        if not options.repo or options.repo in (each.repo, each.repo.partition("/")[2])
    ]
    if not chosen:
        raise ConfigError(
            f"{options.benchmark} has no instance of {options.repo}",
            hint=f"it has {', '.join(sorted({each.repo for each in instances}))}",
        )
    return chosen


async def _validated(
    benchmark: Benchmark,
    instances: Sequence[Instance],
    out: Path,
    view: ValidationView,
    workers: int,
    stop: asyncio.Event,
) -> dict[str, Validation]:
    """Each verdict is written before it is shown. When `stop` is set, what runs is cut off and done anew next time."""
    from tempfile import TemporaryDirectory

    from patchwright.evals.validation import append_validation, keep_logs, validated

    done: dict[str, Validation] = {}
    todo = iter(instances)

    async def work() -> None:
        for instance in todo:
            view.begin(instance)
            directory = TemporaryDirectory(prefix="patchwright-", ignore_cleanup_errors=True)
            try:
                validation = await validated(benchmark, instance, Path(directory.name))
                if not validation.gradable:
                    keep_logs(Path(directory.name), out.with_suffix(".logs") / instance.instance_id)
            finally:
                # Thousands of files, which the other workers need not wait for.
                await asyncio.to_thread(directory.cleanup)
            append_validation(out, validation)
            done[validation.instance_id] = validation
            view.end(validation)

    working = asyncio.gather(*(work() for _ in range(workers)))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.cancel():
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        return done
    await working
    return done
