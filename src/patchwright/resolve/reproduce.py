"""Reproduction: something that fails because of the issue, and will not once it is resolved."""

import re
import time
from dataclasses import dataclass
from typing import Literal

from patchwright.policy.base import Policy
from patchwright.repo.testing.compare import failing
from patchwright.repo.testing.program import Executed, traced
from patchwright.resolve.budget import PROGRAM_S
from patchwright.resolve.expectation import expectations_of
from patchwright.resolve.issue import IssueFacts
from patchwright.resolve.judge import Trees, shows_nothing
from patchwright.resolve.prompts import Fault
from patchwright.schema.events import Sampled
from patchwright.schema.messages import Request, Sampling
from patchwright.schema.resolution import Reproduction, SuiteRun

ANSWERS = 3
TEMPERATURE = 0.6
MAX_TOKENS = 256

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_PYTHON = re.compile(r"(?:^|[\s;&|(])((?:\S*/)?python[\d.]*)(?=\s)")
_LAST_LINE = re.compile(
    r"^([A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit|Iteration|Failure)\w*)\b", re.MULTILINE
)
_IMPORTED = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
_OWN_FAULT = frozenset({"SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError", "NameError"})
"""What a program raises that is wrong itself; unless the issue speaks of just that."""


def from_tests(suite: SuiteRun, flaky: frozenset[str]) -> Reproduction | None:
    """The user's own tests, where they fail on the untouched tree."""
    if suite.passed or suite.has_no_tests or (suite.timed_out and not suite.outcomes):
        return None
    tests = tuple(test for test in failing(suite) if test not in flaky)
    if suite.outcomes and not tests:
        return None
    return Reproduction(source="tests", command=suite.command, failure=suite.output[-4000:], failing_tests=tests)


def scripts_of(facts: IssueFacts) -> tuple[str, ...]:
    """Programs that the issue itself gives: its code blocks one after the other, then each of them by itself, then the
    statements of each doctest."""
    doctests = [block.text for block in facts.code_blocks if block.kind == "doctest"]
    programs = [block.text for block in facts.code_blocks if block.kind == "python"]
    return tuple(text for text in ("\n".join(programs), *programs, *map(_of_doctest, doctests)) if text.strip())


def _of_doctest(text: str) -> str:
    """The statements of a doctest, without what it shows as their results: those are the bug's."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line[4:] for line in lines if line.startswith((">>> ", "... ")))


@dataclass(frozen=True)
class Reproducer:
    """Finds a program that shows the issue. Raises EngineError and SandboxError."""

    trees: Trees
    python: str
    issue: str
    facts: IssueFacts

    async def from_issue(self) -> Reproduction | None:
        """What the issue's own code does, twice: not what the issue says that it should, or else it ends with an
        exception."""
        expectations = list(expectations_of(self.facts))
        for expectation in expectations:
            found = await self._tried(expectation.script, "issue", expectation.program)
            if found and expectation.is_what_was_seen(found.failure):
                return found
        wanted = {raised(expectation.wanted) for expectation in expectations}
        for script in dict.fromkeys(scripts_of(self.facts)):
            found = await self._tried(script, "issue", script)
            if found and raised(found.failure) not in wanted:
                return found
        return None

    async def from_model(self, policy: Policy, fault: Fault, seed: int) -> tuple[Reproduction | None, Sampled]:
        """A program that the model writes; the one whose failure most of its programs share."""
        sampling = Sampling(temperature=TEMPERATURE, max_tokens=MAX_TOKENS, seed=seed)
        started = time.monotonic()
        found = await policy.answers(Request(messages=fault.reproduce(), sampling=sampling), ANSWERS)
        duration_s = time.monotonic() - started
        problems: list[str] = []
        tried: list[Reproduction] = []
        for answer in found.answers:
            script = program_in(answer.text)
            if "assert" not in script:
                problems.append("the program asserts nothing")
            elif not self._uses_the_project(script):
                problems.append("the program imports nothing of the project")
            elif reproduction := await self._tried(script, "model", script):
                tried.append(reproduction)
            else:
                problems.append("the program does not fail because of the issue")
        sampled = Sampled(
            asked="a reproduction",
            answers=len(found.answers),
            unusable=len(problems),
            problems=tuple(dict.fromkeys(problems)),
            usage=found.usage,
            duration_s=duration_s,
        )
        words = [raised(reproduction.failure) for reproduction in tried]
        best = max(tried, key=lambda each: words.count(raised(each.failure)), default=None)
        return best, sampled

    async def _tried(self, script: str, source: Literal["issue", "model"], program: str) -> Reproduction | None:
        """The program as a reproduction, if it fails on two untouched trees, and not by its own fault."""
        command = f"PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} {self.python} $REPRODUCTION"
        reproduction = Reproduction(source=source, command=command, script=script, program=program, failure="")
        failures: list[str] = []
        failing_s = 0.0
        for _ in range(2):
            async with self.trees.open() as sandbox:
                started = time.monotonic()
                passes, failure = await shows_nothing(reproduction, sandbox, PROGRAM_S)
                failing_s = max(failing_s, time.monotonic() - started)
            if passes or not self._is_of_the_issue(failure):
                return None
            failures.append(failure)
        if raised(failures[0]) != raised(failures[1]):
            return None
        return reproduction.model_copy(update={"failure": failures[0], "failing_s": failing_s})

    async def executed_by(self, reproduction: Reproduction) -> Executed:
        """What the reproduction's program executes of the tree."""
        async with self.trees.open() as sandbox:
            return await traced(reproduction.script, reproduction.command, sandbox, timeout_s=PROGRAM_S)

    def _uses_the_project(self, script: str) -> bool:
        places = (self.trees.root, self.trees.root / "src", self.trees.root / "lib")
        names = _IMPORTED.findall(script)
        return any((place / name).is_dir() or (place / f"{name}.py").is_file() for place in places for name in names)

    def _is_of_the_issue(self, failure: str) -> bool:
        """Whether it ends as the issue says: with the exception of its traceback, else with one that it names; a
        failed assertion speaks for itself."""
        kind = raised(failure)
        expected = self.facts.error.type.rpartition(".")[2] if self.facts.error else ""
        if kind == "AssertionError" or not kind:
            return bool(kind)
        if kind in _OWN_FAULT or expected:
            return kind == expected
        return kind in self.issue


def program_in(answer: str) -> str:
    """The program of an answer: its first fenced block, or all of it."""
    fence = _FENCE.search(answer)
    return (fence[1] if fence else answer).strip() + "\n"


def raised(failure: str) -> str:
    """The exception that a failed program ended with, by its plain name; empty if it was none."""
    found = _LAST_LINE.findall(failure)
    return found[-1].rpartition(".")[2] if found else ""


def python_of(command: str | None) -> str:
    """The Python that the user's test command runs, else the one on PATH."""
    found = _PYTHON.search(command or "")
    return found[1] if found else "python3"
