"""The forge: breaks a project in one place or two, and keeps what its tests notice and a user could report."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from patchwright.evals.forge.difficulty import difficulty_of
from patchwright.evals.forge.ground import LOG_PARSER, Ground
from patchwright.evals.forge.hidden_tests import hidden
from patchwright.evals.forge.issue import issue_of
from patchwright.evals.forge.mutations import KEY_CHARS, Mutation, changed, mutations
from patchwright.evals.forge.origin import Origin
from patchwright.evals.forge.showing import Showing, Shown
from patchwright.evals.forge.snippets import Snippet, snippet_of
from patchwright.evals.forge.test_code import TestId
from patchwright.evals.forge.trial import Project
from patchwright.resolve.sources import unified_diff
from patchwright.schema.instance import Instance

MOST_BROKEN = 0.25
"""A mutation that breaks more of the tests than that is no bug that anybody would release."""
EVERY_NTH_COMBINED = 4


@dataclass(frozen=True)
class Tried:
    """What became of a mutation, or of two together."""

    sites: tuple[Mutation, ...]
    instance: Instance | None = None
    reason: str = ""
    """Why there is no instance."""


@dataclass(frozen=True)
class _Broken:
    """Mutations that the tests notice, and programs that show them."""

    sites: tuple[Mutation, ...]
    tests: tuple[str, ...]
    """Those that fail, by pytest's ids."""
    fail_to_pass: frozenset[str]
    """Those that fail, by the grader's."""
    shown: tuple[Shown, ...] = ()

    @property
    def unsaid(self) -> frozenset[str]:
        """What would give the place away."""
        return frozenset({*(site.name for site in self.sites), *(TestId.parsed(test).name for test in self.tests)})


@dataclass(frozen=True)
class Forge:
    """Makes instances of one project."""

    project: Project
    ground: Ground
    origin: Origin
    seed: int
    at_once: int

    async def run(self) -> AsyncGenerator[Tried]:
        """Tries mutations until there are none left, each function once, every so many of them two together.

        The same seed gives the same instances in the same order, whatever `at_once` is. Raises SandboxError.
        """
        made, waiting = 0, None
        async for each in self._found():
            if isinstance(each, Tried):
                yield each
            elif waiting is None and made % EVERY_NTH_COMBINED == EVERY_NTH_COMBINED - 1:
                waiting = each
            else:
                tried = await self._instance([waiting, each] if waiting else [each])
                made, waiting = made + (tried.instance is not None), None
                yield tried

    async def remade(self, instance_ids: Sequence[str]) -> AsyncGenerator[Tried]:
        """These instances again, as an earlier run has made them, or why one cannot be made."""
        keys = {key for each in instance_ids for key in _keys(each)}
        every = mutations(self.project.tree, self.ground.sources, self.seed)
        known = {each.key: each for each in every if each.key in keys}
        for each in instance_ids:
            if not known.keys() >= set(_keys(each)):
                yield Tried((), reason=f"no mutation of this project makes {each}")
                continue
            sites = tuple(known[key] for key in _keys(each))
            parts = [await self._broken(site) for site in sites]
            # Half of two changes would be another instance.
            if reasons := [part for part in parts if isinstance(part, str)]:
                yield Tried(sites, reason=reasons[0])
            else:
                yield await self._instance([part for part in parts if isinstance(part, _Broken)])

    async def _found(self) -> AsyncGenerator[_Broken | Tried]:
        """Mutations that can be noticed and shown, one for each function, and why the others are none."""
        used: set[tuple[str, str]] = set()
        every = mutations(self.project.tree, self.ground.sources, self.seed)
        candidates = (each for each in every if (each.path, each.name) not in used)
        while batch := list(islice(candidates, self.at_once)):
            for mutation, found in zip(batch, await asyncio.gather(*map(self._broken, batch)), strict=True):
                place = (mutation.path, mutation.name)
                if isinstance(found, str):
                    yield Tried((mutation,), reason=found)
                elif place not in used:
                    used.add(place)
                    yield found

    async def _broken(self, mutation: Mutation) -> _Broken | str:
        """The mutation with a program that shows it, or why there is none."""
        tests = self.ground.tests_of(mutation)
        showing = Showing(self.project, frozenset({mutation.name}))
        if not any(showing.is_quotable(snippet.text) for snippet in self._snippets(tests)):
            return "no test that runs through it makes a program that does not name it"
        found = await self._tested((mutation,))
        if isinstance(found, str):
            return found
        shown = await Showing(self.project, found.unsaid).shown(changed([mutation]), self._snippets(found.tests))
        return replace(found, shown=(shown,)) if shown else "no failing test makes a program that a user could send"

    async def _tested(self, sites: tuple[Mutation, ...]) -> _Broken | str:
        try:
            files = changed(sites)
        except ValueError as error:
            return str(error)
        run, log = await self.project.tested(self.ground.timeout_s, files)
        if run.timed_out or "timed_out" in run.outcomes.values():
            return "a test hangs"
        failing = [test for test in self.ground.passing if run.outcomes.get(test) != "passed"]
        if not failing:
            return "no test notices"
        if len(failing) > MOST_BROKEN * len(self.ground.passing):
            return f"{len(failing)} of {len(self.ground.passing)} tests fail"
        if not (fail_to_pass := self.ground.broken_in(log)):
            return "the grader sees none of the failing tests"
        return _Broken(sites, tuple(failing), fail_to_pass)

    async def _instance(self, parts: Sequence[_Broken]) -> Tried:
        sites = tuple(site for part in parts for site in part.sites)
        found = parts[0] if len(parts) == 1 else await self._together(parts)
        if isinstance(found, str):
            return Tried(sites, reason=found)
        hidden_files = hidden(self.project.tree, found.tests)
        if hidden_files is None:
            return Tried(sites, reason="the code of a failing test cannot be found")
        return Tried(sites, instance=self._row(found, found.shown, hidden_files))

    async def _together(self, parts: Sequence[_Broken]) -> _Broken | str:
        found = await self._tested(tuple(site for part in parts for site in part.sites))
        if isinstance(found, str):
            return found
        showing = Showing(self.project, found.unsaid)
        again = [await showing.again(changed(found.sites), shown) for part in parts for shown in part.shown]
        if not all(again):
            return "together they do not show as they did one by one"
        return replace(found, shown=tuple(each for each in again if each))

    def _snippets(self, tests: Sequence[str]) -> list[Snippet]:
        return [snippet for test in tests if (snippet := self._snippet_by_test[test])]

    @cached_property
    def _snippet_by_test(self) -> dict[str, Snippet | None]:
        cases: Counter[str] = Counter()
        found: dict[str, Snippet | None] = {}
        for test in self.ground.passing:
            function = test.partition("[")[0]
            found[test] = snippet_of(self.project.tree, test, cases[function])
            cases[function] += 1
        return found

    def _row(self, found: _Broken, shown: Sequence[Shown], hidden_files: dict[str, str]) -> Instance:
        right = {site.path: site.before for site in found.sites}
        patch = "".join(unified_diff(path, text, right[path]) for path, text in sorted(changed(found.sites).items()))
        full = {path: (self.project.tree / path).read_text(encoding="utf-8") for path in hidden_files}
        test_patch = "".join(unified_diff(path, text, full[path]) for path, text in sorted(hidden_files.items()))
        kind = found.sites[0].mutator if len(found.sites) == 1 else "combined"
        key = "".join(site.key for site in found.sites)
        return Instance(
            instance_id=f"{self.origin.name}-{self.origin.version}.{kind}__{key}",
            repo=self.origin.repo,
            base_commit=self.origin.base_commit,
            version=self.origin.version,
            problem_statement=issue_of(self.origin.name, self.origin.version, shown),
            patch=patch,
            test_patch=test_patch,
            FAIL_TO_PASS=tuple(sorted(found.fail_to_pass)),
            PASS_TO_PASS=tuple(sorted(self.ground.graded - found.fail_to_pass)),
            difficulty=difficulty_of(found.sites, shown, _changed_lines(patch), self.ground.lines_of(found.tests)),
            log_parser=LOG_PARSER,
            install_config=self.origin.install_config,
        )


def _keys(instance_id: str) -> tuple[str, ...]:
    """The keys of the mutations that an instance is made of."""
    joined = instance_id.rpartition("__")[2]
    return tuple(joined[at : at + KEY_CHARS] for at in range(0, len(joined), KEY_CHARS))


def _changed_lines(patch: str) -> int:
    return sum(line.startswith(("+", "-")) and not line.startswith(("+++", "---")) for line in patch.splitlines())
