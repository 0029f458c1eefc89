"""Verification: what running a candidate shows, each in its own copy of the work tree."""

import re
import secrets
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from patchwright.errors import SandboxError, ToolError
from patchwright.repo.testing.compare import broken, failing, has_passed, repaired
from patchwright.repo.testing.program import ran
from patchwright.repo.testing.suite import Suite
from patchwright.resolve.doctests import changes_examples
from patchwright.resolve.evidence import doctested
from patchwright.resolve.outcomes import outcomes
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.disposable import disposable_sandbox
from patchwright.sandbox.kinds import SandboxKind
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.resolution import Candidate, Reproduction, SuiteRun, Verdict

FAILURE_CHARS = 4_000

_EXITS = re.compile(r"\b(exit|quit|SystemExit|unittest\.main|pytest\.main)\b *(\(|$)", re.MULTILINE)


@dataclass(frozen=True)
class Trees:
    """Copies of one work tree, each in a sandbox of its own, gone after use. Raises SandboxError."""

    kind: SandboxKind
    root: Path
    settings: SandboxSettings

    def open(self) -> AbstractAsyncContextManager[Sandbox]:
        return disposable_sandbox(self.kind, self.root, self.settings)


@dataclass(frozen=True)
class Limits:
    """Seconds for one run of the tests, for one test in it, and for the reproduction."""

    suite_s: float
    test_s: float
    script_s: float


@dataclass(frozen=True)
class Judge:
    """Runs candidates against the reproduction and the tests.

    `command` is the user's test command, or a part of it that is near to the change; `baseline` is its run on the
    untouched tree.
    """

    trees: Trees
    reproduction: Reproduction | None
    command: str | None
    baseline: SuiteRun | None
    flaky: frozenset[str]
    limits: Limits

    async def verdict(self, candidate: Candidate) -> Verdict:
        """What repairs is run a second time, in a fresh tree: luck must not count. Then come variations of the program.

        What ends its own sandbox is wrong, and takes no other candidate with it.
        """
        started = time.monotonic()
        try:
            verdict = await self._tried(candidate, varied=False)
            if verdict.finding == "repairs":
                verdict = await self._tried(candidate, varied=True)
        except (SandboxError, ToolError) as error:
            verdict = Verdict(candidate=candidate.id, reproduced=False, failure=f"it could not be tried: {error}")
        return verdict.model_copy(update={"duration_s": time.monotonic() - started})

    async def _tried(self, candidate: Candidate, *, varied: bool) -> Verdict:
        async with self.trees.open() as sandbox:
            patch = f"/tmp/patchwright-{secrets.token_hex(6)}.patch"
            untouched = await self._doctested(sandbox)
            await sandbox.write(patch, candidate.patch.encode("utf-8", "surrogateescape"))
            applied = await sandbox.run(
                f"git apply --whitespace=nowarn {patch}; s=$?; rm {patch}; exit $s", timeout_s=60, fresh=True
            )
            if applied.exit_code:
                failure = f"git apply: {applied.output[-FAILURE_CHARS:]}"
                return Verdict(candidate=candidate.id, reproduced=False, failure=failure)
            for path, source in (await self._doctested(sandbox)).items():
                if changes_examples(untouched[path], source):
                    failure = f"it changes the examples of a doctest in {path}, which fails because of the issue"
                    return Verdict(candidate=candidate.id, reproduced=False, failure=failure)
            verdict = await self._judged(candidate, sandbox)
            if not (varied and self.reproduction and verdict.finding == "repairs"):
                return verdict
            return verdict.model_copy(update={"outcomes": await outcomes(self.reproduction, sandbox)})

    async def _doctested(self, sandbox: Sandbox) -> dict[str, str]:
        """The modules whose doctests show the issue."""
        tests = self.reproduction.failing_tests if self.reproduction else ()
        data = {path: await sandbox.read(path) for path in sorted(doctested(tests))}
        return {path: source.decode("utf-8", "surrogateescape") for path, source in data.items()}

    async def _judged(self, candidate: Candidate, sandbox: Sandbox) -> Verdict:
        reproduced, failure = None, ""
        if self.reproduction and self.reproduction.script:
            reproduced, failure = await shows_nothing(self.reproduction, sandbox, self.limits.script_s)
        if reproduced is False or self.command is None or self.baseline is None:
            return Verdict(candidate=candidate.id, reproduced=reproduced, failure=failure)
        after = await Suite(self.command, sandbox).run(timeout_s=self.limits.suite_s, test_timeout_s=self.limits.test_s)
        if self.reproduction and not self.reproduction.script:
            reproduced = _passes_now(self.reproduction, after, self.flaky)
        lost = broken(self.baseline, after, self.flaky)
        if self.baseline.passed and not after.passed and not lost and self.flaky.isdisjoint(failing(after)):
            lost = (self.command,)
        return Verdict(
            candidate=candidate.id,
            reproduced=reproduced,
            broken=lost,
            repaired=repaired(self.baseline, after),
            tests_run=len(after.outcomes),
            regressions_checked=self._has_passing_tests(),
            failure="" if after.passed else after.output[-FAILURE_CHARS:],
        )

    def _has_passing_tests(self) -> bool:
        """Whether there is anything that a candidate could break."""
        if self.baseline is None or not self.baseline.outcomes:
            return self.baseline is not None and self.baseline.passed
        return any(word == "passed" and test not in self.flaky for test, word in self.baseline.outcomes.items())


async def shows_nothing(reproduction: Reproduction, sandbox: Sandbox, time_s: float) -> tuple[bool, str]:
    """Whether the reproduction passes in this tree, and the end of its output if not.

    It has to come to its end, and says so with a word that it cannot know before: a candidate that exits on the way is
    none that passes. A program that exits by itself is believed.
    """
    word = "" if _EXITS.search(reproduction.script) else f"patchwright-end {secrets.token_hex(8)}"
    end = f'\n__import__("os").write(1, b"\\n{word}\\n")\n'
    result = await ran(reproduction.script + end, reproduction.command, sandbox, timeout_s=time_s)
    ended = result.exit_code == 0 and not result.timed_out
    passes = ended and word in result.output
    if ended and not passes:
        return False, f"{result.output}\nthe program was ended before its last line"[-FAILURE_CHARS:]
    return passes, "" if passes else result.output[-FAILURE_CHARS:]


def _passes_now(reproduction: Reproduction, after: SuiteRun, flaky: frozenset[str]) -> bool:
    """Whether every test that failed passes now; where tests cannot be told apart, whether the command does.

    The exit code alone would let a candidate off that makes tests vanish.
    """
    wanted = [test for test in reproduction.failing_tests if test not in flaky]
    repaired_all = not after.timed_out and all(has_passed(test, after) for test in wanted)
    return repaired_all and (after.passed or not flaky.isdisjoint(failing(after)))
