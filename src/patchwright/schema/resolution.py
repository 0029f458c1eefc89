"""What the stages of a resolution hand on: locations, reproduction, candidates, verdicts."""

from typing import Literal

from patchwright.schema.record import Record

TestOutcome = Literal["passed", "failed", "error", "skipped", "timed_out"]
"""How one test ended. `error`: its setup or its module failed; `timed_out`: it ran into its own time limit."""


class SuiteRun(Record):
    """One run of a test command. `outcomes` holds each test by its id, and nothing where the command cannot tell."""

    command: str
    exit_code: int
    outcomes: dict[str, TestOutcome] = {}
    lines: dict[str, dict[str, tuple[int, ...]]] = {}
    """For a traced run: by test id, by path in the work tree, the lines that the test executed, in order of number."""
    slowest_s: float | None = None
    """Seconds that the slowest test took of those that passed; None where none did, or nobody knows."""
    output: str
    duration_s: float
    timed_out: bool = False

    @property
    def passed(self) -> bool:
        return self.exit_code == 0 and not self.timed_out

    @property
    def has_no_tests(self) -> bool:
        """Whether the command came to no test, for a reason that has nothing to do with any.

        bash cannot run it (126, 127); or pytest is not there, was called wrongly (4) or has collected nothing (5). A
        conftest.py that cannot be imported, which is 4 as well, may be the program's fault.
        """
        if self.outcomes or self.timed_out:
            return False
        called_wrongly = self.exit_code == 4 and "while loading conftest" not in self.output
        of_pytest = called_wrongly or self.exit_code == 5 or "No module named pytest" in self.output
        return self.exit_code in {126, 127} or ("pytest" in self.command and not self.passed and of_pytest)


class Location(Record):
    """A place where the fault may be: a function, a class, or what a module holds outside of both."""

    path: str
    name: str
    """Qualified within the module, `Class.method`; empty for the module itself."""
    kind: Literal["function", "class", "module"]
    start_line: int
    """From 1, decorators included."""
    end_line: int
    """The last line that belongs to it."""
    score: float
    reasons: tuple[str, ...] = ()
    """Why it is here, for people: "named in the issue", "executed by what fails"."""
    suspicious_lines: tuple[int, ...] = ()
    """Lines in it that the failing tests executed, the most suspicious first; empty when nobody knows."""


class Reproduction(Record):
    """Something that fails because of the issue, and will not when it is resolved. Run from the top of the tree."""

    source: Literal["tests", "issue", "model"]
    command: str
    script: str = ""
    """The Python program that `command` runs, where it is ours; it lies outside of the tree."""
    program: str = ""
    """What the script checks, alone: the issue's own code, or what the model wrote."""
    failure: str
    """The end of the output on the untouched tree."""
    failing_s: float = 0.0
    """How long the script took there."""
    failing_tests: tuple[str, ...] = ()
    """The ids of the tests that fail on the untouched tree, where the command can tell."""


CandidateSource = Literal["model", "mechanical", "agent"]
"""Who made it: the model asked for an edit, a slip undone without a model, or a run of the agent."""


class Candidate(Record):
    """One proposed patch."""

    id: int
    source: CandidateSource
    path: str
    patch: str
    """A unified diff from the untouched tree."""
    key: str
    """The same for patches that differ in layout and comments alone."""
    logprob: float | None = None
    """The mean log-probability of its tokens, where the engine says."""
    location: str = ""
    """The name of the location that it was proposed for."""


Finding = Literal["repairs", "harmless", "untested", "wrong"]
"""What a candidate's own runs show: the reproduction passes and no test is broken; no test is broken, and there was
nothing to reproduce; nothing could tell; a test is broken, or the reproduction fails still."""
Word = Literal["verified", "plausible", "unverified"]
"""What all the evidence for a candidate that is not wrong amounts to."""


class Verdict(Record):
    """What running a candidate showed."""

    candidate: int
    reproduced: bool | None
    """Whether the reproduction passes now; None when there is none."""
    broken: tuple[str, ...] = ()
    """Tests that passed before and do not now."""
    repaired: tuple[str, ...] = ()
    """Tests that failed before and pass now."""
    tests_run: int = 0
    regressions_checked: bool = False
    """Whether tests that passed before were run at all."""
    failure: str = ""
    """The end of the output of what failed."""
    outcomes: tuple[str, ...] = ()
    """What each variation of the reproduction's program came to; empty where there is none, or nobody can tell."""
    duration_s: float = 0.0
    """All its runs together."""

    @property
    def finding(self) -> Finding:
        if self.broken or self.reproduced is False:
            return "wrong"
        if self.reproduced:
            return "repairs"
        return "harmless" if self.regressions_checked else "untested"
