"""The cards of a trajectory, as a fold over its events."""

from collections.abc import Iterable, Sequence

from patchwright.evals.report.blocks import Card, Table, Tone, argument_blocks
from patchwright.evals.report.figures import quantity
from patchwright.schema.events import (
    AnyEvent,
    BaselineRun,
    HistoryCompacted,
    IssueRead,
    Judged,
    Localised,
    MessageAdded,
    Proposed,
    Replied,
    Reproduced,
    ResolveFinished,
    ResolveWord,
    RunFinished,
    RunStarted,
    Sampled,
    SnapshotTaken,
    StepFailed,
    StepStarted,
    StepTakenBack,
    TestsRun,
    TextArrived,
    ToolFinished,
    ToolStarted,
)
from patchwright.schema.messages import ToolCall, Usage
from patchwright.schema.resolution import Finding, Location, SuiteRun, Verdict

_TONE_OF_WORD: dict[ResolveWord, Tone] = {"verified": "good", "plausible": "warn", "unverified": "warn", "none": "bad"}
_TONE_OF_FINDING: dict[Finding, Tone] = {"repairs": "good", "harmless": "warn", "untested": "warn", "wrong": "bad"}
SHOWN_TESTS = 30


def cards_of(events: Iterable[AnyEvent]) -> list[Card]:
    fold = _Fold()
    for event in events:
        fold.add(event)
    return fold.cards


class _Fold:
    def __init__(self) -> None:
        self.cards: list[Card] = []
        self._calls: dict[str, ToolCall] = {}
        """Calls of the current step that have not been started."""
        self._candidates: dict[int, Card] = {}

    def add(self, event: AnyEvent) -> None:
        match event:
            case TextArrived():
                pass
            case RunStarted():
                self._run_started(event)
            case MessageAdded():
                self._card.add(event.message.role, event.message.content, "prose")
            case StepStarted():
                self._open(Card(f"Step {event.step}"))
            case Replied():
                self._replied(event)
            case ToolStarted():
                self._calls.pop(event.call_id, None)
                self._call(event.name, event.arguments)
            case ToolFinished():
                self._tool_finished(event)
            case StepFailed():
                self._card.tone = "bad"
                self._card.add("the endpoint failed", event.error, tone="bad")
            case StepTakenBack():
                self._card.tone = "warn"
                self._note(f"taken back: the first {event.kept_messages} messages stay")
            case HistoryCompacted():
                self._note(f"history compacted: {event.tokens_before} → {event.tokens_after} tokens")
            case SnapshotTaken():
                self._note(f"snapshot {event.snapshot[:12]}")
            case TestsRun():
                self._tests_run(event)
            case RunFinished():
                self._run_finished(event)
            case _:
                self._resolution(event)

    def _resolution(self, event: AnyEvent) -> None:
        match event:
            case IssueRead():
                self._issue_read(event)
            case BaselineRun():
                self._baseline(event)
            case Localised():
                self._localised(event)
            case Reproduced():
                self._reproduced(event)
            case Sampled():
                self._sampled(event)
            case Proposed():
                self._proposed(event)
            case Judged():
                self._judged(event.verdict)
            case ResolveFinished():
                self._resolve_finished(event)
            case _:
                pass

    @property
    def _card(self) -> Card:
        return self.cards[-1] if self.cards else self._open(Card("Start"))

    def _open(self, card: Card) -> Card:
        self._report_unstarted()
        self.cards.append(card)
        return card

    def _report_unstarted(self) -> None:
        for call in self._calls.values():
            self._call(f"{call.name}, not run", call.arguments)
        self._calls = {}

    def _note(self, text: str) -> None:
        self._card.facts.append(text)

    def _run_started(self, event: RunStarted) -> None:
        facts = [event.model, f"profile {event.profile}", f"sandbox {event.sandbox}", f"in {event.work_tree}"]
        card = self._open(Card("Start", "the task", facts=facts))
        card.add("task", event.task, "prose", whole=True)

    def _replied(self, event: Replied) -> None:
        card = self._card
        card.facts += [*_costs(event.usage), f"first token after {_seconds(event.first_token_s)}"]
        card.facts.append(f"{_seconds(event.duration_s)} in all")
        card.add("assistant", event.message.content, "prose", whole=True)
        card.add("no call could be read", event.problem or "", "prose", tone="warn")
        card.about = ", ".join(call.name for call in event.message.tool_calls) or "no call"
        self._calls = {call.id: call for call in event.message.tool_calls}

    def _call(self, name: str, arguments: str) -> None:
        given = list(argument_blocks(arguments))
        if all("\n" not in value and len(value) < 200 for _, value in given):
            text = "\n".join(f"{key}: {value}" if key else value for key, value in given)
            self._card.add(f"call {name}", text or "()")
            return
        for key, value in given:
            self._card.add(f"call {name} · {key}" if key else f"call {name}", value)

    def _tool_finished(self, event: ToolFinished) -> None:
        word = "malformed" if event.malformed else "failed" if event.failed else ""
        tone: Tone = "bad" if word else "good" if event.finished else ""
        title = ", ".join(part for part in ("observation", word, _seconds(event.duration_s)) if part)
        self._card.tone = tone or self._card.tone
        self._card.add(title, event.message.content or "(nothing)", tone=tone)
        self._card.add("change", event.diff, "diff")

    def _tests_run(self, event: TestsRun) -> None:
        tone: Tone = "good" if event.exit_code == 0 else "bad"
        title = (
            f"tests {event.when} the change: exit code {event.exit_code}, {_seconds(event.duration_s)}: {event.command}"
        )
        self._card.add(title, event.output or "(nothing)", "log", tone)

    def _run_finished(self, event: RunFinished) -> None:
        reason = event.reason.replace("_", " ")
        facts = [f"{event.steps} steps", *_costs(event.usage), _seconds(event.duration_s)]
        card = self._open(Card(f"End: {reason}", reason, "good" if event.reason == "done" else "warn", facts))
        card.add("last word", event.message, "prose")
        card.add("patch", event.patch, "diff", whole=True)

    def _issue_read(self, event: IssueRead) -> None:
        facts = [event.model, f"in {event.work_tree}", f"at most {_seconds(event.time_limit_s)}"]
        card = self._open(Card("Issue", "the task", facts=facts))
        card.add("issue", event.issue, "prose", whole=True)
        given = "" if event.tests_given else ", found and not given"
        card.add("tests", f"$ {event.test_command}{given}" if event.test_command else "none are known")

    def _baseline(self, event: BaselineRun) -> None:
        suite = event.suite
        card = self._open(Card("Tests before", _suite_word(suite), facts=[_seconds(suite.duration_s)]))
        card.add(f"exit code {suite.exit_code}: {suite.command}", suite.output or "(nothing)", "log")
        card.add("tests that fail", _tests([t for t, outcome in suite.outcomes.items() if _is_failure(outcome)]))
        card.add("set aside as flaky", _tests(event.flaky), tone="warn")

    def _localised(self, event: Localised) -> None:
        rows = tuple(
            (f"{place.path}:{place.start_line}–{place.end_line}", place.name, quantity(place.score), *_why(place))
            for place in event.locations
        )
        card = self._open(Card("Locations", f"{len(rows)} suspects"))
        head = ("place", "name", "score", "why", "suspicious lines")
        card.blocks.append(Table("where the fault may be, the likeliest first", head, rows))

    def _reproduced(self, event: Reproduced) -> None:
        found = event.reproduction
        if found is None:
            self._open(Card("Reproduction", "none", "warn")).add("none", event.problem or "none was found", "prose")
            return
        card = self._open(Card("Reproduction", f"from the {found.source}", "good"))
        card.add("command", f"$ {found.command}")
        card.add("program", found.script)
        card.add("tests that fail", _tests(found.failing_tests))
        card.add("how it fails on the untouched tree", found.failure, "log")

    def _sampled(self, event: Sampled) -> None:
        answers = f"{event.answers} answers, {event.unusable} of them unusable"
        card = self._open(
            Card("Sampled", event.asked, facts=[answers, *_costs(event.usage), _seconds(event.duration_s)])
        )
        card.add("why some are no candidates", "\n".join(event.problems), tone="warn")

    def _proposed(self, event: Proposed) -> None:
        candidate = event.candidate
        if event.duplicate_of is not None:
            if original := self._candidates.get(event.duplicate_of):
                original.facts.append("proposed once more")
            return
        facts = [candidate.source, candidate.path]
        if candidate.logprob is not None:
            facts.append(f"mean log-probability {candidate.logprob:.2f}")
        card = self._open(Card(f"Candidate {candidate.id}", candidate.location or candidate.path, facts=facts))
        card.add("patch", candidate.patch, "diff")
        self._candidates[candidate.id] = card

    def _judged(self, verdict: Verdict) -> None:
        card = self._candidates.get(verdict.candidate) or self._open(Card(f"Candidate {verdict.candidate}"))
        finding = verdict.finding
        card.tone = _TONE_OF_FINDING[finding]
        card.about = f"{finding}: {card.about}" if card.about else finding
        reproduced = {True: "the reproduction passes", False: "the reproduction still fails", None: "no reproduction"}
        lines = [
            reproduced[verdict.reproduced],
            f"{verdict.tests_run} tests run, {len(verdict.repaired)} repaired, {len(verdict.broken)} broken",
        ]
        card.add(f"verdict: {finding}, {_seconds(verdict.duration_s)}", "\n".join(lines), tone=card.tone)
        card.add("tests repaired", _tests(verdict.repaired))
        card.add("tests broken", _tests(verdict.broken), tone="bad")
        card.add("how it failed", verdict.failure, "log")

    def _resolve_finished(self, event: ResolveFinished) -> None:
        stages = ", ".join(f"{stage} {_seconds(spent)}" for stage, spent in event.seconds.items())
        facts = [*_costs(event.usage), f"{_seconds(event.duration_s)} ({stages})" if stages else ""]
        word = "no patch" if event.candidate is None else f"{event.word}, candidate {event.candidate}"
        card = self._open(Card(f"Selected: {word}", event.reason.replace("_", " "), _TONE_OF_WORD[event.word], facts))
        card.add("why", event.why, "prose", whole=True)
        card.add("selected patch", event.patch, "diff", whole=True)


def _why(place: Location) -> tuple[str, str]:
    return ", ".join(place.reasons), ", ".join(map(str, place.suspicious_lines))


def _costs(usage: Usage) -> list[str]:
    if usage == Usage():
        return []
    return [
        f"{quantity(usage.prompt_tokens)} prompt tokens, {quantity(usage.cached_tokens)} cached",
        f"{quantity(usage.completion_tokens)} written",
    ]


def _seconds(seconds: float) -> str:
    return f"{quantity(seconds)} s"


def _suite_word(suite: SuiteRun) -> str:
    return "pass" if suite.passed else "out of time" if suite.timed_out else "fail"


def _is_failure(outcome: str) -> bool:
    return outcome not in {"passed", "skipped"}


def _tests(tests: Sequence[str]) -> str:
    more = len(tests) - SHOWN_TESTS
    return "\n".join([*tests[:SHOWN_TESTS], *([f"… and {more} more"] if more > 0 else [])])
