"""Showing a fault: a small program that does one thing on the right tree and another on the broken one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchwright.evals.forge.snippets import Snippet, snippet_of
from patchwright.evals.forge.trial import Printed, Project, printed
from patchwright.sandbox.base import Sandbox

TESTS_TRIED = 16
_LONGEST_OUTPUT = 1_500
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}|/tmp/|\btest_")


@dataclass(frozen=True)
class Shown:
    """The program, and what it does without the fault and with it."""

    program: str
    right: Printed
    broken: Printed


@dataclass(frozen=True)
class Showing:
    """Finds programs that show a fault. `unsaid` are names that neither they nor their output may hold."""

    project: Project
    unsaid: frozenset[str]

    async def shown(self, changed: Mapping[str, str], tests: Sequence[str], passing: Sequence[str]) -> Shown | None:
        """The smallest program that one of `tests`, which fail with `changed`, comes down to.

        `passing` are all the tests of the right tree, in their order. Raises SandboxError.
        """
        snippets = [snippet_of(self.project.tree, test, _position(test, passing)) for test in tests]
        different = {each.text: each for each in snippets if each}
        candidates = sorted((each for each in different.values() if self._says_nothing(each.text)), key=_size)
        async with self.project.opened() as right, self.project.opened(changed) as broken:
            for snippet in candidates[:TESTS_TRIED]:
                if await self._shows(snippet, right, broken):
                    return await self._shrunk(snippet, right, broken)
        return None

    async def _shrunk(self, snippet: Snippet, right: Sandbox, broken: Sandbox) -> Shown | None:
        """Without the statements that the fault shows without, from the last one on."""
        found = await self._shows(snippet, right, broken)
        for at in reversed(range(len(snippet.body))):
            smaller = snippet.without(at)
            shown = await self._shows(smaller, right, broken) if smaller.body else None
            if found and shown and _is_alike(shown, found):
                snippet, found = smaller, shown
        return found

    async def _shows(self, snippet: Snippet, right: Sandbox, broken: Sandbox) -> Shown | None:
        text = snippet.text
        without = await printed(text, right)
        if not _is_presentable(without) or without != await printed(text, right, seed=1):
            return None
        with_fault = await printed(text, broken)
        shown = Shown(text, without, with_fault)
        is_quotable = self._says_nothing(with_fault.output + with_fault.error) and _is_presentable(with_fault)
        return shown if is_quotable and with_fault != without else None

    def _says_nothing(self, text: str) -> bool:
        return self.unsaid.isdisjoint(re.findall(r"\w+", text))


def _position(test: str, passing: Sequence[str]) -> int:
    """Which of its function's cases it is."""
    function = test.partition("[")[0]
    return [each for each in passing if each.partition("[")[0] == function].index(test)


def _size(snippet: Snippet) -> tuple[int, str]:
    return len(snippet.text), snippet.text


def _is_presentable(run: Printed) -> bool:
    """Short, the same everywhere, and no fault of the program's own."""
    said = run.output + run.error
    own = run.error.startswith(("NameError", "SyntaxError", "ImportError", "ModuleNotFoundError"))
    return not run.timed_out and len(said) <= _LONGEST_OUTPUT and not _ADDRESS.search(said) and not own


def _is_alike(shown: Shown, other: Shown) -> bool:
    """Whether the right tree ends in the same way, and the broken one too."""
    return (_kind(shown.right), _kind(shown.broken)) == (_kind(other.right), _kind(other.broken))


def _kind(run: Printed) -> str:
    return run.error.partition(":")[0]
