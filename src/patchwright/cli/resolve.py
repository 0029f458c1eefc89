"""`patchwright resolve`: an issue in, a verified patch out."""

import asyncio
import errno
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from patchwright.agent.deadline import Deadline
from patchwright.agent.permission import AllowAll
from patchwright.agent.sessions import Session, SessionStore
from patchwright.cli.assemble import Job, connected, engine_of, profile_of
from patchwright.cli.assemble import assembled as assembled_agent
from patchwright.cli.exit_codes import exit_code_for_resolution
from patchwright.cli.interrupts import interrupts
from patchwright.cli.resolve_views import LiveProgress, PlainProgress
from patchwright.cli.stream import followed
from patchwright.cli.views import JsonView, View
from patchwright.config import Settings, load_settings
from patchwright.engines.base import Engine
from patchwright.engines.machine import usable_cores
from patchwright.errors import ConfigError, RecordError, RepositoryError
from patchwright.repo.index.index import Index
from patchwright.repo.snapshot import after_step, before_run
from patchwright.repo.snapshots import Snapshots
from patchwright.repo.work_tree import begin_repository, files_of, find_work_tree
from patchwright.resolve.budget import Budget
from patchwright.resolve.detect import test_command_of
from patchwright.resolve.judge import Trees
from patchwright.resolve.pipeline import Pipeline
from patchwright.resolve.plan import asks
from patchwright.resolve.propose import Proposer
from patchwright.resolve.resolution import Plan, Resolution
from patchwright.resolve.rollouts import Rollouts, Turn, sampling
from patchwright.resolve.strategy import Strategy
from patchwright.sandbox.disposable import temporary_copy
from patchwright.sandbox.kinds import SandboxKind
from patchwright.schema.events import AnyEvent, IssueRead, ResolveFinished, RunFinished

PROFILE = "resolve"
"""What stands in a session's record in the place of an agent's profile."""

ANEW = "leave out what differs to go on with it, or --resume to start anew"

StrategyName = Literal["pipeline", "agent"]

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    issue: str
    repo: Path
    plan: Plan
    time_limit_s: float
    patch: Path | None
    strategy: StrategyName
    sandbox: SandboxKind
    resume: str | None
    json_lines: bool


@app.command()
def resolve(
    issue: Annotated[str, typer.Argument(help="A file that holds the issue, its text, or - for standard input.")] = "",
    repo: Annotated[Path, typer.Option(help="A directory of the repository.")] = Path(),
    test_command: Annotated[
        str | None, typer.Option(help="Runs the tests and exits with 0 when all is well; looked for when not given.")
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, help="Different candidates at most.")] = 200,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds at most, for everything.")] = 600,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens read and written at most.")] = None,
    patch: Annotated[
        Path | None, typer.Option(help="Write the patch to this file; the work tree stays as it is.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="See `patchwright model list`; or a .gguf file.")] = None,
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint to use instead.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds the endpoint's key.")] = None,
    strategy: Annotated[
        StrategyName | None,
        typer.Option(help="Ask for edits directly, or run the agent again and again; by default what suits the model."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Where sampling starts; the same seed, the same answers.")] = 0,
    sandbox: Annotated[
        SandboxKind, typer.Option(help="Where commands run. `none`: on this machine, bounded by nothing.")
    ] = "bubblewrap",
    resume: Annotated[
        str | None, typer.Option(help="Go on with this session; `last` is the repository's latest resolution.")
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="Print every event as a line of JSON.")] = False,
) -> None:
    """Find a patch for ISSUE, prove it, and apply it.

    Several patches are proposed, each is tried in a copy of the work tree, and the one that the evidence speaks for
    is applied; `patchwright undo` takes it back. It is called verified when a reproduction of the issue failed before
    and passes after and no test that passed fails now (and, where the reproduction is a single program, several
    proposals agree); plausible when no test fails that passed, unverified when no test could tell. Exit codes: 0
    verified, 1 a patch that is not verified, 2 usage, 3 infrastructure, 4 no patch, 130 interrupted.
    """
    settings = load_settings(model=model, base_url=base_url, api_key_env=api_key_env)
    if patch and not patch.absolute().parent.is_dir():
        raise ConfigError(f"{patch.parent}: no such directory", hint="the patch could not be written there")
    options = Options(
        issue=_issue(issue, resume),
        repo=repo,
        plan=Plan(test_command, candidates=candidates, tokens=max_tokens, seed=seed, at_once=usable_cores()),
        time_limit_s=time_limit,
        patch=patch,
        strategy=strategy or _strategy_for(settings),
        sandbox=sandbox,
        resume=resume,
        json_lines=json_lines,
    )
    raise typer.Exit(asyncio.run(_resolve(options, settings)))


async def _resolve(options: Options, settings: Settings) -> int:
    root = (await find_work_tree(options.repo)).root
    engine = engine_of(settings)
    with closing(SessionStore(settings.state_dir / "sessions" / "sessions.sqlite")) as store:
        tree = await _snapshots(root, settings).tree()
        session, earlier = _session(store, options, settings, root)
        known = _known(session, earlier, options, tree)
        options = replace(options, plan=_plan_of(options.plan, known, await files_of(root)))
        print(f"session {session.id}: getting {settings.model} ready", file=sys.stderr)
        async with assembled(engine, root, session.id, options, settings, tree) as resolution:
            with _view(options, earlier) as view:
                events = resolution.run(options.issue or session.facts.task, earlier)
                finished = await followed(events, session, view, ResolveFinished)
        if finished.patch and finished.reason == "interrupted":
            print(f"the tree is as it was; `--resume {session.id}` goes on", file=sys.stderr)
        elif finished.patch:
            await _hand_over(finished, session, root, options.patch, settings)
    return exit_code_for_resolution(finished)


@asynccontextmanager
async def assembled(
    engine: Engine, root: Path, session: str, options: Options, settings: Settings, tree: str
) -> AsyncGenerator[Resolution]:
    """The resolution, ready to run. `tree` names what the work tree holds. Raises EngineError and SandboxError."""
    trees = Trees(options.sandbox, root, settings.sandbox)
    async with trees.open():  # a machine without a sandbox is told so before a model is loaded
        pass
    stop = asyncio.Event()
    files = await files_of(root)
    async with connected(engine, settings) as policy:
        with Index(_index_file(settings, root)) as index, interrupts(stop):
            budget = Budget(options.time_limit_s)
            strategy: Strategy = Pipeline(Proposer(policy, options.plan.seed), root, asks)
            if options.strategy == "agent":
                run_agent = partial(rollout, engine, root, session, options, settings, stop)
                strategy = Rollouts(run_agent, options.plan.test_command, budget, options.plan.tokens)
            yield Resolution(
                policy=policy,
                trees=trees,
                index=index,
                files=files,
                plan=options.plan,
                budget=budget,
                deadline=Deadline(options.time_limit_s, stop),
                strategy=strategy,
                tree=tree,
            )


async def rollout(
    engine: Engine,
    root: Path,
    session: str,
    options: Options,
    settings: Settings,
    stop: asyncio.Event,
    issue: str,
    turn: Turn,
) -> RunFinished:
    """One run of the agent on the issue, in a copy of the work tree that is gone afterwards. Making the copy
    counts too."""
    ends_at = time.monotonic() + turn.time_s
    profile = profile_of(settings, None)
    async with temporary_copy(root) as copy:
        if not (copy / ".git").exists():
            await begin_repository(copy, await find_work_tree(root))
        job = Job(
            session=session,
            work_tree=copy,
            files=await files_of(copy),
            test_command=options.plan.test_command if options.plan.tests_given else None,
            profile=profile.model_copy(update={"sampling": sampling(profile.sampling, options.plan.seed, turn.number)}),
            limits=settings.limits.model_copy(update={"time_s": ends_at - time.monotonic(), "tokens": turn.tokens}),
            sandbox=options.sandbox,
            permission=AllowAll(),
            stop=stop,
        )
        own = settings.model_copy(update={"state_dir": copy.with_name(f"{copy.name}-state")})
        async with assembled_agent(job, engine, own) as agent, aclosing(agent.run(issue)) as events:
            async for event in events:
                if isinstance(event, RunFinished):
                    return event
    raise AssertionError("a run ends with RunFinished")


def _snapshots(root: Path, settings: Settings) -> Snapshots:
    return Snapshots(root, settings.state_dir / "snapshots")


def _index_file(settings: Settings, root: Path) -> Path:
    """An index is of one work tree."""
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return settings.state_dir / "index" / f"{name}.sqlite"


async def _hand_over(
    finished: ResolveFinished, session: Session, root: Path, patch: Path | None, settings: Settings
) -> None:
    """Writes the patch to its file, or applies it to the work tree, which is recorded first."""
    data = finished.patch.encode("utf-8", "surrogateescape")
    if patch:
        patch.write_bytes(data)
        print(f"the patch is in {patch}", file=sys.stderr)
        return
    snapshots = _snapshots(root, settings)
    await _apply(data, session, root, "--check")  # before a snapshot that says that there is something to undo
    await snapshots.take(before_run(session.id))
    await _apply(data, session, root)
    await snapshots.take(after_step(1))
    print("applied; `patchwright undo` takes it back", file=sys.stderr)


async def _apply(patch: bytes, session: Session, root: Path, *options: str) -> None:
    apply = ["git", "apply", "--whitespace=nowarn", *options]
    result = await asyncio.to_thread(subprocess.run, apply, cwd=root, input=patch, capture_output=True, check=False)
    if result.returncode:
        problem = result.stderr.decode(errors="replace").strip()
        raise RepositoryError(
            f"the patch does not apply any more: {problem}",
            hint=f"the files have changed meanwhile; `patchwright session show {session.id}` has the patch",
        )


def _session(
    store: SessionStore, options: Options, settings: Settings, root: Path
) -> tuple[Session, Sequence[AnyEvent]]:
    if options.resume is None:
        return store.create(work_tree=root, task=options.issue, profile=PROFILE, model=settings.model), ()
    asked = None if options.resume == "last" else store.open(options.resume).id
    own = (facts for facts in store.list() if facts.profile == PROFILE and facts.work_tree == str(root))
    found = next((facts.id for facts in own if asked in (None, facts.id)), None)
    if found is None:
        raise RecordError(f"no resolution was recorded in {root}", hint="`patchwright session list` shows all sessions")
    session = store.open(found)
    if options.issue.strip() not in ("", session.facts.task.strip()):
        raise ConfigError(f"session {session.id} is about another issue", hint=ANEW)
    return session, store.events(session.id)


def _known(session: Session, earlier: Sequence[AnyEvent], options: Options, tree: str) -> IssueRead | None:
    """How the session that is gone on with began; None for a new one. What was found then has to hold now."""
    known = next((event for event in earlier if isinstance(event, IssueRead)), None)
    if known is None:
        return None
    if options.plan.test_command not in (None, known.test_command):
        tests = f"the tests `{known.test_command}`" if known.test_command else "no tests"
        raise ConfigError(f"session {session.id} goes by {tests}, not by others", hint=ANEW)
    if known.tree not in ("", tree):
        raise RecordError(
            f"the files are not those that session {session.id} began with",
            hint="bring them back, or leave out --resume to start anew: what was found may not hold for others",
        )
    return known


def _plan_of(plan: Plan, known: IssueRead | None, files: Sequence[str]) -> Plan:
    if known:
        return plan.with_tests(known.test_command, given=known.tests_given)
    if plan.test_command:
        return plan
    return plan.with_tests(test_command_of(files), given=False)


def _issue(issue: str, resume: str | None) -> str:
    """The issue's text: of a file with this name, from standard input, or as it is."""
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if issue == "-" else _file_or_text(issue)
    text = text.encode("utf-8", "replace").decode()
    if not text.strip() and resume is None:
        raise ConfigError("the issue is empty", hint="name a file that holds it, or - for standard input")
    return text


def _file_or_text(issue: str) -> str:
    path = Path(issue)
    try:
        if "\n" in issue or not path.exists() or path.is_dir():  # a pipe is read, too: `resolve <(gh issue view 3)`
            if path.suffix in {".md", ".txt", ".rst"} and " " not in issue:
                raise ConfigError(f"{issue}: no such file", hint="name a file that holds the issue, or give its text")
            return issue
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return issue
        raise ConfigError(f"{issue}: {(error.strerror or str(error)).lower()}") from None


def _strategy_for(settings: Settings) -> StrategyName:
    """Models that call tools natively work by themselves; for the others, edits are asked for one by one."""
    return "agent" if profile_of(settings, None).calling == "native" else "pipeline"


def _view(options: Options, earlier: Sequence[AnyEvent]) -> View:
    if options.json_lines:
        return JsonView()
    console = Console()
    return LiveProgress(console, earlier) if console.is_terminal else PlainProgress(earlier=earlier)
