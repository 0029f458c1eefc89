"""`patchwright run`: work on a task in a repository and hand back a patch."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from patchwright.agent.limits import Limits
from patchwright.agent.permission import AllowAll
from patchwright.agent.sessions import Session, SessionStore
from patchwright.cli.assemble import Job, assembled, engine_of, profile_of
from patchwright.cli.exit_codes import exit_code_for
from patchwright.cli.interrupts import interrupts
from patchwright.cli.permission import AskOnTerminal
from patchwright.cli.stream import followed
from patchwright.cli.views import JsonView, LiveView, PlainView, View
from patchwright.config import Settings, load_settings
from patchwright.engines.base import Engine, EngineName
from patchwright.errors import ConfigError, RecordError
from patchwright.repo.work_tree import files_of, find_work_tree
from patchwright.sandbox.kinds import SandboxKind
from patchwright.schema.events import AnyEvent, RunFinished, RunStarted, TestsRun

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    task: str
    repo: Path
    test_command: str | None
    patch: Path | None
    profile: str | None
    limits: Limits
    sandbox: SandboxKind
    ask: bool
    resume: str | None
    json_lines: bool


@app.command()
def run(
    task: Annotated[str, typer.Argument(help="What is to be done; - reads it from standard input.")] = "",
    repo: Annotated[Path, typer.Option(help="A directory of the repository.")] = Path(),
    test_command: Annotated[
        str | None, typer.Option(help="Exits with 0 when all is well; the run is done only when it does.")
    ] = None,
    patch: Annotated[Path | None, typer.Option(help="Write the patch to this file as well.")] = None,
    model: Annotated[str | None, typer.Option(help="See `patchwright model list`; or a file, a directory.")] = None,
    engine: Annotated[EngineName | None, typer.Option(help="What runs the model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint to use instead.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds the endpoint's key.")] = None,
    profile: Annotated[str | None, typer.Option(help="devstral or small; by default what suits the model.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Policy calls at most.")] = None,
    time_limit: Annotated[float | None, typer.Option(min=1, help="Seconds at most.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens read and written at most.")] = None,
    sandbox: Annotated[
        SandboxKind, typer.Option(help="Where commands run. `none`: on this machine, bounded by nothing.")
    ] = "bubblewrap",
    ask: Annotated[bool, typer.Option("--ask", help="Ask before every command and edit.")] = False,
    resume: Annotated[
        str | None, typer.Option(help="Go on with this session; `last` is the repository's latest.")
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="Print every event as a line of JSON.")] = False,
) -> None:
    """Work on TASK in the repository, in a sandbox, and hand back a patch with the evidence for it.

    The work tree keeps the changes; `patchwright undo` takes them back. Exit codes: 0 done, 2 usage,
    3 infrastructure, 4 limit reached, 5 refused, 130 interrupted.
    """
    settings = load_settings(model=model, engine=engine, base_url=base_url, api_key_env=api_key_env)
    given = {"steps": max_steps, "time_s": time_limit, "tokens": max_tokens}
    limits = settings.limits.model_copy(update={name: value for name, value in given.items() if value is not None})
    options = Options(
        task=_task(task, resume),
        repo=repo,
        test_command=test_command,
        patch=patch,
        profile=profile,
        limits=limits,
        sandbox=sandbox,
        ask=ask,
        resume=resume,
        json_lines=json_lines,
    )
    raise typer.Exit(asyncio.run(_run(options, settings)))


async def _run(options: Options, settings: Settings) -> int:
    root = (await find_work_tree(options.repo)).root
    engine = engine_of(settings)
    with closing(SessionStore(settings.state_dir / "sessions" / "sessions.sqlite")) as store:
        return await _work(options, settings, root, engine, store)


async def _work(options: Options, settings: Settings, root: Path, engine: Engine, store: SessionStore) -> int:
    session, earlier = _session(store, options, settings, root)
    stop = asyncio.Event()
    job = Job(
        session=session.id,
        work_tree=root,
        files=await files_of(root),
        test_command=options.test_command or _earlier_test_command(earlier),
        profile=profile_of(settings, options.profile or _earlier_profile(earlier)),
        limits=options.limits,
        sandbox=options.sandbox,
        permission=AskOnTerminal(Console(stderr=True)) if options.ask else AllowAll(),
        stop=stop,
    )
    print(f"session {session.id}: getting {settings.model} ready", file=sys.stderr)
    async with assembled(job, engine, settings) as agent:
        with _view(options) as view, interrupts(stop):
            finished = await followed(agent.run(options.task, earlier), session, view, RunFinished)
        await agent.snapshots.prune()
    if options.patch:
        options.patch.write_text(finished.patch, encoding="utf-8", errors="surrogateescape", newline="")
    return exit_code_for(finished.reason)


def _session(
    store: SessionStore, options: Options, settings: Settings, root: Path
) -> tuple[Session, Sequence[AnyEvent]]:
    """A new session, or the one to resume with what happened in it."""
    if options.resume is None:
        profile = options.profile or ""
        return store.create(work_tree=root, task=options.task, profile=profile, model=settings.model), ()
    session = store.latest(root) if options.resume == "last" else store.open(options.resume)
    if session is None:
        raise RecordError(f"no session was recorded in {root}", hint="`patchwright session list` shows them all")
    return session, store.events(session.id)


def _earlier_profile(earlier: Sequence[AnyEvent]) -> str | None:
    return next((event.profile for event in earlier if isinstance(event, RunStarted)), None)


def _earlier_test_command(earlier: Sequence[AnyEvent]) -> str | None:
    return next((event.command for event in earlier if isinstance(event, TestsRun)), None)


def _task(task: str, resume: str | None) -> str:
    text = sys.stdin.read() if task == "-" else task
    if not text.strip() and resume is None:
        raise ConfigError("the task is empty", hint='say what is to be done: patchwright run "…"')
    return text


def _view(options: Options) -> View:
    if options.json_lines:
        return JsonView()
    console = Console()
    return LiveView(console) if console.is_terminal else PlainView()
