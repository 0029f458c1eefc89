"""The resolution of an issue: its stages in their order, as a stream of events."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from patchwright.agent.deadline import Deadline, Stopped
from patchwright.errors import PatchwrightError
from patchwright.policy.base import Policy
from patchwright.repo.index.index import Index
from patchwright.repo.testing.nearest import narrowed, nearest_tests
from patchwright.resolve.baseline import Baseline
from patchwright.resolve.budget import Budget, Stage, limit_of_a_program_s, limit_of_a_test_s
from patchwright.resolve.evidence import is_evidence, judging_files
from patchwright.resolve.issue import IssueFacts, read_issue
from patchwright.resolve.judge import Judge, Limits, Trees
from patchwright.resolve.localise import localise
from patchwright.resolve.pipeline import source_of
from patchwright.resolve.prompts import Fault
from patchwright.resolve.reproduce import Reproducer, from_tests, python_of
from patchwright.resolve.select import selected, why
from patchwright.resolve.spectrum import suspiciousness
from patchwright.resolve.state import ResolveState
from patchwright.resolve.strategy import Batch, Strategy
from patchwright.schema.events import (
    AnyEvent,
    BaselineRun,
    IssueRead,
    Judged,
    Localised,
    Proposed,
    Reproduced,
    ResolveFinished,
    ResolveReason,
)
from patchwright.schema.resolution import Candidate, Reproduction, SuiteRun, Verdict

T = TypeVar("T")

WHOLE_SUITE = 0.6
"""Of the baseline's time, what all the tests may take together; the rest is for the nearest ones, if need be."""
NEAREST_FILES = 5
LOCATIONS = 10
LEAST_SUITE_S = 15.0


@dataclass(frozen=True)
class Plan:
    """What is to be done, and which stages take part: an ablation leaves one out."""

    test_command: str | None
    tests_given: bool = True
    """Whether the user named the tests. Only then does their failing show the issue."""
    candidates: int = 200
    """So many different candidates at most."""
    tokens: int | None = None
    """Read and written at most, those from the prefix cache included."""
    seed: int = 0
    at_once: int = 2
    """Candidates that are verified at the same time."""
    coverage: bool = True
    reproduction: bool = True

    def with_tests(self, command: str | None, *, given: bool) -> "Plan":
        return replace(self, test_command=command, tests_given=given)


@dataclass(frozen=True)
class Resolution:
    """Resolves one issue in one work tree, which it never changes. Its collaborators are open when it gets them."""

    policy: Policy
    trees: Trees
    index: Index
    files: tuple[str, ...]
    """The repository's files, relative to the work tree."""
    plan: Plan
    budget: Budget
    deadline: Deadline
    strategy: Strategy
    tree: str = ""
    """Names what the work tree holds, for who takes the resolution up again."""

    async def run(self, issue: str, earlier: Sequence[AnyEvent] = ()) -> AsyncGenerator[AnyEvent]:
        """Works until ResolveFinished, going on after `earlier`, the events of an interrupted resolution.

        What the consumer stores before it asks for more cannot be lost. Failures of engine, sandbox and repository end
        up in ResolveFinished.
        """
        state = ResolveState(earlier)
        async with aclosing(self._events(issue, state)) as events:
            async for event in events:
                state.add(event)
                yield event

    async def _events(self, issue: str, state: ResolveState) -> AsyncGenerator[AnyEvent]:
        reason: ResolveReason = "done"
        message = ""
        try:
            async for event in self._stages(issue, state):
                yield event
        except Stopped as stopped:
            reason = stopped.reason if stopped.reason in ("interrupted", "token_limit") else "time_limit"
        except PatchwrightError as error:
            reason, message = "infrastructure", f"{error}; {error.hint}" if error.hint else str(error)
        yield self._finished(state, reason, message)

    async def _stages(self, issue: str, state: ResolveState) -> AsyncGenerator[AnyEvent]:
        yield IssueRead(
            issue=issue,
            model=self.policy.name,
            work_tree=str(self.trees.root),
            test_command=self.plan.test_command,
            tests_given=self.plan.tests_given,
            time_limit_s=self.budget.left_s,
            tree=self.tree,
        )
        facts = read_issue(issue)
        reproducer = Reproducer(self.trees, python_of(self.plan.test_command), issue, facts)
        traced = None
        if state.baseline is None and self.plan.test_command:
            traced, ran = await self._baseline(self.plan.test_command, WHOLE_SUITE)
            yield ran
        if found := await self._shown(reproducer, state):
            yield Reproduced(reproduction=found)
        if state.locations is None:
            spectrum = await self._spectrum(traced, reproducer, state) if self.plan.coverage else {}
            yield await self._timed(
                "localise", self._localised(issue, _with_frames(facts, state), spectrum, state.tests)
            )
        if state.locations and self._needs_narrowing(state):
            async for event in self._narrowed(state):
                yield event
        if state.reproduced is None:
            async for event in self._reproduced(reproducer, state):
                yield event
        async for event in self._candidates(issue, state):
            yield event

    async def _baseline(self, command: str, share: float) -> tuple[SuiteRun | None, BaselineRun]:
        return await self._timed("baseline", Baseline(self.trees).run(command, share * self.budget.share_s("baseline")))

    async def _traced_anew(self, state: ResolveState) -> SuiteRun | None:
        """The lines that the tests execute, which are in no record; None where there was no time for them before."""
        if state.baseline is None or state.baseline.stable is None:
            return None
        time_s = WHOLE_SUITE * self.budget.share_s("baseline")
        return await self._timed("baseline", Baseline(self.trees).traced(state.baseline.suite, time_s))

    async def _shown(self, reproducer: Reproducer, state: ResolveState) -> Reproduction | None:
        """By the issue's own code; None where there is none, where it is known already, and where it is not wanted."""
        if state.reproduced or not self.plan.reproduction:
            return None
        return await self._within_share("reproduce", reproducer.from_issue())

    async def _spectrum(
        self, traced: SuiteRun | None, reproducer: Reproducer, state: ResolveState
    ) -> dict[str, dict[int, float]]:
        """How suspicious each line is, by the tests that ran and by the program that the issue gives."""
        traced = traced or await self._traced_anew(state)
        executed = None
        if state.reproduction and state.reproduction.script:
            executed = await self._within_share("localise", reproducer.executed_by(state.reproduction))
        return suspiciousness(traced, executed)

    async def _localised(
        self, issue: str, facts: IssueFacts, spectrum: Mapping[str, Mapping[int, float]], tests: Iterable[str]
    ) -> Localised:
        await self._indexed()
        found = localise(facts, issue, self.index, spectrum, limit=LOCATIONS)
        judging = judging_files(self.plan.test_command, tests)
        return Localised(locations=tuple(place for place in found if not is_evidence(place.path, judging)))

    async def _indexed(self) -> None:
        """What the share of the time does not suffice to read is not found. The index is left alone afterwards, also
        when this is cancelled."""
        stop = threading.Event()
        update = asyncio.ensure_future(asyncio.to_thread(self.index.update, self.trees.root, self.files, stop.is_set))
        try:
            await asyncio.wait({update}, timeout=self.budget.share_s("localise"))
        finally:
            stop.set()
            await asyncio.wait({update})
        update.result()

    def _needs_narrowing(self, state: ResolveState) -> bool:
        return state.baseline is not None and state.baseline.suite.timed_out

    async def _narrowed(self, state: ResolveState) -> AsyncGenerator[AnyEvent]:
        """The tests nearest to where the fault is, when all of them take too long."""
        near = nearest_tests(self.files, state.locations[0].path if state.locations else "")[:NEAREST_FILES]
        command = narrowed(self.plan.test_command or "", near)
        if command is not None:
            yield (await self._baseline(command, 1.0))[1]

    async def _reproduced(self, reproducer: Reproducer, state: ResolveState) -> AsyncGenerator[AnyEvent]:
        """By the tests, or by a program that the model writes, where the issue gives none."""
        if not self.plan.reproduction:
            yield Reproduced(reproduction=None, problem="left out")
            return
        found = None
        if state.baseline and self.plan.tests_given:
            if again := await self._failing_again(state.baseline):
                yield again
            if state.baseline.stable:
                found = from_tests(state.baseline.suite, frozenset(state.baseline.flaky))
        if found is None and state.locations:
            location = state.locations[0]
            fault = Fault(reproducer.issue, location, source_of(self.trees.root / location.path), "")
            written = reproducer.from_model(self.policy, fault, self.plan.seed)
            if answer := await self._within_share("reproduce", written):
                found, sampled = answer
                yield sampled
        yield Reproduced(reproduction=found, problem="" if found else self._why_nothing_shows_it(state.baseline))

    def _why_nothing_shows_it(self, baseline: BaselineRun | None) -> str:
        none = "no program was found that fails because of the issue"
        if baseline and self.plan.tests_given and from_tests(baseline.suite, frozenset()):
            return f"the tests are not known to fail each time, and {none}"
        return none

    async def _failing_again(self, baseline: BaselineRun) -> BaselineRun | None:
        """The baseline with what failed by chance set aside; None where nothing fails, where that is known already,
        and where time is too short."""
        if baseline.stable is not None or from_tests(baseline.suite, frozenset()) is None:
            return None
        again = Baseline(self.trees).failing_again(baseline, self.budget.share_s("reproduce"))
        return await self._within_share("reproduce", again)

    async def _candidates(self, issue: str, state: ResolveState) -> AsyncGenerator[AnyEvent]:
        """Proposals and verdicts in turn, until one is verified or nothing is left to try with."""
        judge = self._judge(state)
        async for event in self._judged(judge, state):
            yield event
        async with aclosing(self.strategy.batches(issue, state)) as batches:
            while not (state.verified or self._is_exhausted(state)):
                if state.tokens_left(self.plan.tokens) == 0:
                    raise Stopped("token_limit")
                batch = await self._timed("propose", anext(batches, None))
                if batch is None:
                    return
                for event in _proposals(batch, state, self.plan.candidates):
                    yield event
                async for event in self._judged(judge, state):
                    yield event

    def _is_exhausted(self, state: ResolveState) -> bool:
        """Whether more candidates would change nothing: there are enough, or nothing could tell them apart."""
        unproven = state.reproduction is None and bool(state.agreement.standing)
        return len(state.candidates) >= self.plan.candidates or unproven

    async def _judged(self, judge: Judge, state: ResolveState) -> AsyncGenerator[AnyEvent]:
        """Verdicts on all candidates without one, a few at once; of mechanical ones, up to the first that stands."""
        waiting = state.unjudged()
        while waiting:
            batch, waiting = waiting[: self.plan.at_once], waiting[self.plan.at_once :]
            started = time.monotonic()
            verdicts = await self.deadline.within(_verdicts(judge, batch))
            self.budget.took("verify", time.monotonic() - started)
            for verdict in verdicts:
                yield Judged(verdict=verdict)
            if state.verified and batch[0].source == "mechanical":
                return

    def _judge(self, state: ResolveState) -> Judge:
        suite = state.baseline.suite if state.baseline else None
        if suite and (suite.has_no_tests or (suite.timed_out and not suite.outcomes)):
            suite = None  # or it takes too long, and cannot say what it did until then
        slow_s = min(suite.duration_s if suite else 0.0, self.budget.left_s / 4)
        return Judge(
            trees=self.trees,
            reproduction=state.reproduction,
            command=suite.command if suite else None,
            baseline=suite,
            flaky=frozenset(state.baseline.flaky if state.baseline else ()),
            limits=Limits(
                suite_s=max(LEAST_SUITE_S, 3 * slow_s),
                test_s=limit_of_a_test_s(suite.slowest_s if suite else None),
                script_s=limit_of_a_program_s(state.reproduction.failing_s if state.reproduction else 0.0),
            ),
        )

    async def _within_share(self, stage: Stage, work: Awaitable[T]) -> T | None:
        """The stage's work, or None when its share of the time was not enough."""
        try:
            return await self._timed(stage, asyncio.wait_for(work, self.budget.share_s(stage)))
        except TimeoutError:
            return None

    async def _timed(self, stage: Stage, work: Awaitable[T]) -> T:
        started = time.monotonic()
        try:
            return await self.deadline.within(work)
        finally:
            self.budget.took(stage, time.monotonic() - started)

    def _finished(self, state: ResolveState, reason: ResolveReason, message: str) -> ResolveFinished:
        agreement = state.agreement
        best = selected(agreement)
        explanation = why(best, len(state.candidates), agreement) if best else _why_none(state)
        return ResolveFinished(
            word=agreement.word(best.id) if best else "none",
            reason=reason,
            candidate=best.id if best else None,
            patch=best.patch if best else "",
            why=message or explanation,
            seconds={stage: round(seconds, 2) for stage, seconds in self.budget.seconds.items()},
            usage=state.usage,
            duration_s=self.budget.used_s,
        )


def _with_frames(facts: IssueFacts, state: ResolveState) -> IssueFacts:
    """The issue's traceback, and inside of it the one with which its program ends here: its lines are this tree's."""
    own = read_issue(state.reproduction.failure).frames if state.reproduction else ()
    return facts.model_copy(update={"frames": (*facts.frames, *own)})


async def _verdicts(judge: Judge, batch: Sequence[Candidate]) -> list[Verdict]:
    return await asyncio.gather(*map(judge.verdict, batch))


def _proposals(batch: Batch, state: ResolveState, most: int) -> Iterator[AnyEvent]:
    """Events for a batch, up to so many candidates in all. `state` must have seen each before the next is made."""
    if batch.sampled:
        yield batch.sampled
    for draft in batch.drafts:
        known = state.known(draft.key)
        if known is None and len(state.candidates) >= most:
            continue
        candidate = known or Candidate(
            id=state.next_id,
            source=draft.source,
            path=draft.path,
            patch=draft.patch,
            key=draft.key,
            logprob=draft.logprob,
            location=draft.location,
        )
        yield Proposed(candidate=candidate, duplicate_of=known.id if known else None, source=draft.source)


def _why_none(state: ResolveState) -> str:
    if state.locations is not None and not state.locations:
        return "no place was found that the issue could be about"
    if not state.candidates:
        return "nothing that was answered is an edit of a file in UTF-8"
    none = f"none of {len(state.candidates)} candidates stands"
    return f"{none}: each leaves the reproduction failing, breaks a test or cannot be tried"
