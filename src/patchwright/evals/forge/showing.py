"""Showing a fault: a small program that does one thing on the right tree and another on the broken one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchwright.evals.forge.snippets import Snippet
from patchwright.evals.forge.trial import Printed, Project, printed
from patchwright.sandbox.base import Sandbox

SNIPPETS_TRIED = 16
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

    async def shown(self, changed: Mapping[str, str], snippets: Sequence[Snippet]) -> Shown | None:
        """The smallest program that one of the snippets comes down to, with the fault in the files `changed`.

        Raises SandboxError.
        """
        different = {each.text: each for each in snippets}
        candidates = sorted((each for each in different.values() if self.is_quotable(each.text)), key=_size)
        async with self.project.opened() as right, self.project.opened(changed) as broken:
            for snippet in candidates[:SNIPPETS_TRIED]:
                if await self._shows(snippet.text, right, broken):
                    return await self._shrunk(snippet, right, broken)
        return None

    async def again(self, changed: Mapping[str, str], shown: Shown) -> Shown | None:
        """What the same program shows of other faults. Raises SandboxError."""
        async with self.project.opened() as right, self.project.opened(changed) as broken:
            return await self._shows(shown.program, right, broken) if self.is_quotable(shown.program) else None

    def is_quotable(self, text: str) -> bool:
        return self.unsaid.isdisjoint(re.findall(r"\w+", text))

    async def _shrunk(self, snippet: Snippet, right: Sandbox, broken: Sandbox) -> Shown | None:
        """Without the statements that the fault shows without, from the last one on."""
        found = await self._shows(snippet.text, right, broken)
        for at in reversed(range(len(snippet.body))):
            smaller = snippet.without(at)
            shown = await self._shows(smaller.text, right, broken) if smaller.body else None
            if found and shown and _is_alike(shown, found):
                snippet, found = smaller, shown
        return found

    async def _shows(self, program: str, right: Sandbox, broken: Sandbox) -> Shown | None:
        without = await printed(program, right)
        if not _is_presentable(without) or without != await printed(program, right, seed=1):
            return None
        with_fault = await printed(program, broken)
        is_quotable = self.is_quotable(with_fault.output + with_fault.error) and _is_presentable(with_fault)
        return Shown(program, without, with_fault) if is_quotable and with_fault != without else None


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
