"""How a resolution is shown: what each stage found, and at the end the report."""

import sys
from collections.abc import Sequence
from typing import IO, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from patchwright.repo.testing.compare import failing
from patchwright.resolve.state import ResolveState
from patchwright.resolve.variations import variations
from patchwright.schema.events import (
    AnyEvent,
    BaselineRun,
    IssueRead,
    Judged,
    Localised,
    Reproduced,
    ResolveFinished,
    Sampled,
)
from patchwright.schema.resolution import Candidate, Reproduction, SuiteRun, Verdict

SHOWN_LOCATIONS = 3
SHOWN_TESTS = 5
SHOWN_SCRIPT_LINES = 20


class PlainProgress:
    """A line for what matters, the report and the patch at the end."""

    def __init__(self, out: IO[str] = sys.stdout, earlier: Sequence[AnyEvent] = ()) -> None:
        self._out = out
        self._state = ResolveState(earlier)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._out.flush()

    def show(self, event: AnyEvent) -> None:
        self._state.add(event)
        for line in lines_of(event, self._state):
            print(line, file=self._out, flush=True)
        if isinstance(event, ResolveFinished):
            print(*report(event, self._state), sep="\n", file=self._out)
            print(event.patch, end="", file=self._out, flush=True)


class LiveProgress:
    """The same lines on a terminal, with what is going on now below them."""

    def __init__(self, console: Console, earlier: Sequence[AnyEvent] = ()) -> None:
        self._console = console
        self._state = ResolveState(earlier)
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def show(self, event: AnyEvent) -> None:
        self._state.add(event)
        for line in lines_of(event, self._state):
            self._console.print(Text(line))
        if isinstance(event, ResolveFinished):
            self._finish(event)
        else:
            self._live.update(Spinner("dots", text=Text(self._doing(event), style="cyan")))

    def _doing(self, event: AnyEvent) -> str:
        judged, made = len(self._state.verdicts), len(self._state.candidates)
        match event:
            case IssueRead():
                return "running the tests on the untouched tree"
            case BaselineRun():
                return "looking for where the fault may be"
            case Localised():
                return "looking for a reproduction"
            case _:
                return f"{made} candidates, {judged} tried"

    def _finish(self, event: ResolveFinished) -> None:
        self._live.update(Text(""))
        style = {"verified": "bold green", "plausible": "bold yellow", "unverified": "bold yellow", "none": "bold red"}
        first, *rest = report(event, self._state)
        self._console.print(Text(first, style=style[event.word]))
        for line in rest:
            self._console.print(Text(line))
        if event.patch:
            self._console.print(Syntax(event.patch, "diff", background_color="default"))


def lines_of(event: AnyEvent, state: ResolveState) -> list[str]:
    """What a reader wants to know of an event, while it goes on."""
    match event:
        case IssueRead():
            tests = f"tests: {event.test_command}" if event.test_command else "no tests are known (--test-command)"
            return [f"resolving in {event.work_tree} with {event.model}, at most {event.time_limit_s:.0f} s; {tests}"]
        case BaselineRun():
            return [f"before: {_suite(event.suite)}" + _flaky(event.flaky)]
        case Localised():
            places = event.locations[:SHOWN_LOCATIONS]
            return [
                f"suspect {n}: {p.path}:{p.start_line} {p.name} ({', '.join(p.reasons)})"
                for n, p in enumerate(places, 1)
            ]
        case Reproduced():
            return [f"reproduction: {_reproduction(event.reproduction) if event.reproduction else event.problem}"]
        case Sampled():
            unusable = f", {event.unusable} unusable" if event.unusable else ""
            return [f"asked for {event.asked}: {event.answers} answers in {event.duration_s:.1f} s{unusable}"]
        case Judged():
            return _verdict_lines(event.verdict, state)
        case _:
            return []


def report(finished: ResolveFinished, state: ResolveState) -> list[str]:
    """The evidence, a line each; the first says what the patch is worth."""
    if finished.candidate is None:
        lines = [f"no patch ({finished.reason.replace('_', ' ')}): {finished.why}"]
    else:
        lines = _evidence(finished, state.candidates[finished.candidate], state.verdicts[finished.candidate], state)
    seconds = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in finished.seconds.items())
    usage = finished.usage
    return [
        *lines,
        f"time: {finished.duration_s:.0f} s ({seconds})",
        f"tokens: {usage.prompt_tokens} read, {usage.cached_tokens} of them cached, {usage.completion_tokens} written",
    ]


def _evidence(finished: ResolveFinished, best: Candidate, verdict: Verdict, state: ResolveState) -> list[str]:
    lines = [f"{finished.word}: candidate {best.id}, {finished.why}"]
    if best.source == "mechanical":
        lines.append("made by: a mechanical edit, not by the model")
    if state.reproduction:
        lines.append(f"reproduction: failed before, passes after: {_reproduction(state.reproduction)}")
        lines += [f"    {line}" for line in state.reproduction.program.splitlines()[:SHOWN_SCRIPT_LINES]]
        if state.reproduction.script:
            lines += _agreement(best, state, state.reproduction)
    else:
        lines.append("reproduction: none, so nothing shows that the issue is resolved")
    if state.baseline is None:
        lines.append("tests: none were run")
    elif state.baseline.suite.has_no_tests:
        lines.append(_suite(state.baseline.suite))
    else:
        lines.append(
            f"tests: {verdict.tests_run} run, {len(verdict.repaired)} repaired, {len(verdict.broken)} broken: "
            f"{state.baseline.suite.command}"
        )
    return lines


def _agreement(best: Candidate, state: ResolveState, reproduction: Reproduction) -> list[str]:
    """Who else came to the same, and where those that did not differ."""
    agreement, outcomes = state.agreement, state.verdicts[best.id].outcomes
    compared = f" on {len(outcomes)} variations of the program" if outcomes else ""
    others = agreement.others(best.id)
    lines = [f"agreement: {agreement.support(best.id)} proposals agree{compared}, {others} others pass and differ"]
    rival = agreement.rival(best.id)
    theirs = state.verdicts[rival.id].outcomes if rival else ()
    programs = variations(reproduction.program)
    for program, own, other in zip(programs, outcomes, theirs, strict=False):
        if rival and own != other:
            changed = [line for line in program.splitlines() if line not in reproduction.program.splitlines()]
            lines += [f"candidate {rival.id} differs, for example with", *(f"    {line}" for line in changed)]
            return [*lines, f"    this one: {_first_line(own)}", f"    candidate {rival.id}: {_first_line(other)}"]
    return lines


def _first_line(outcome: str) -> str:
    return outcome.partition("\n")[0] or "(nothing)"


def _verdict_lines(verdict: Verdict, state: ResolveState) -> list[str]:
    candidate = state.candidates[verdict.candidate]
    if verdict.finding == "wrong" and candidate.source == "mechanical":
        return []
    made = f"{candidate.source} {candidate.path} {candidate.location}".strip()
    detail = f", repairs {len(verdict.repaired)}, breaks {len(verdict.broken)}" if verdict.tests_run else ""
    return [f"candidate {verdict.candidate} ({made}): {verdict.finding}{detail} ({verdict.duration_s:.1f} s)"]


def _suite(suite: SuiteRun) -> str:
    if suite.has_no_tests:
        return f"no tests were run, for the command ends with {suite.exit_code} before any: {suite.command}"
    outcome = "pass" if suite.passed else "take too long" if suite.timed_out else f"fail with {suite.exit_code}"
    failed = failing(suite)
    counts = f", {len(failed)} of {len(suite.outcomes)} tests fail" if failed else ""
    return f"the tests {outcome}{counts} ({suite.duration_s:.1f} s): {suite.command}"


def _flaky(tests: tuple[str, ...]) -> str:
    return f"; set aside as flaky: {', '.join(tests[:SHOWN_TESTS])}" if tests else ""


def _reproduction(reproduction: Reproduction) -> str:
    match reproduction.source:
        case "tests":
            named = ", ".join(reproduction.failing_tests[:SHOWN_TESTS])
            return f"the failing tests{f' {named}' if named else ''}"
        case "issue":
            return "the code in the issue"
        case "model":
            return "a program that the model wrote"
