"""A resolution from issue to patch: what it proves, what it refuses to call proven, and what it never touches."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path

from patchwright.policy.scripted import answers
from patchwright.resolve.plan import Ask, asks
from patchwright.resolve.resolution import Plan
from patchwright.schema.events import BaselineRun, Judged, Localised, Proposed, Reproduced, Sampled
from patchwright.schema.messages import Usage
from patchwright.schema.resolution import Location, SuiteRun
from tests.conftest import git

from .workshop import FIX, PYTEST, SOURCE, WRONG, finish_of, of_kind, resolve, sums

PLAN = Plan(PYTEST)
MODEL_ALONE = partial(asks, mechanical=False)


def one_request(locations: Sequence[Location]) -> Iterable[Ask]:
    return [Ask("rewrite", locations[0])]


def one_request_and_edits(locations: Sequence[Location]) -> Iterable[Ask]:
    return [Ask("rewrite", locations[0]), Ask("mechanical", locations[0])]


def first_and_refine(locations: Sequence[Location]) -> Iterable[Ask]:
    return [Ask("rewrite", locations[0]), *repeat(Ask("refine", locations[0]), 9)]


async def test_a_patch_that_repairs_the_failing_tests_is_verified_and_applies(tmp_path: Path) -> None:
    root = sums(tmp_path)
    events = await resolve(root, [answers(WRONG, FIX)], PLAN, order=MODEL_ALONE)
    finished = finish_of(events)
    assert (finished.word, finished.reason, finished.candidate) == ("verified", "done", 2)
    assert git(root, "status", "--porcelain") == ""
    subprocess.run(["git", "apply"], input=finished.patch, cwd=root, text=True, check=True)
    assert (root / "sums.py").read_text() == SOURCE.replace("a - b", "a + b")


async def test_each_stage_says_what_it_found(tmp_path: Path) -> None:
    events = await resolve(sums(tmp_path), [answers(WRONG, FIX, FIX)], PLAN, order=MODEL_ALONE)
    [baseline] = of_kind(events, BaselineRun)
    assert {test.rpartition("::")[2]: outcome for test, outcome in baseline.suite.outcomes.items()} == {
        "test_add": "failed",
        "test_nothing": "passed",
        "test_double": "failed",
    }
    [localised] = of_kind(events, Localised)
    assert localised.locations[0].name == "add"
    assert 5 in localised.locations[0].suspicious_lines
    [reproduced] = of_kind(events, Reproduced)
    assert reproduced.reproduction
    assert reproduced.reproduction.source == "tests"
    assert [proposed.duplicate_of for proposed in of_kind(events, Proposed)] == [None, None, 2]
    assert [judged.verdict.finding for judged in of_kind(events, Judged)] == ["wrong", "repairs"]
    assert "on which 2 proposals agree" in finish_of(events).why


async def test_a_slip_is_repaired_without_a_usable_answer(tmp_path: Path) -> None:
    events = await resolve(sums(tmp_path), [answers("I cannot."), answers("Sorry.")], PLAN)
    [sampled] = of_kind(events, Sampled)
    assert (sampled.answers, sampled.unusable, len(sampled.problems)) == (2, 2, 1)
    assert finish_of(events).word == "verified"


async def test_an_answer_that_changes_nothing_is_not_sent_back(tmp_path: Path) -> None:
    same = "```python\ndef add(a, b):\n    return a - b\n```"

    def likeliest_alone(locations: Sequence[Location]) -> Iterable[Ask]:
        return MODEL_ALONE(locations[:1])

    events = await resolve(sums(tmp_path), [answers(same), answers(FIX)], PLAN, order=likeliest_alone)
    sampled = of_kind(events, Sampled)
    assert [(each.asked, each.answers, each.unusable) for each in sampled] == [
        ("rewrite of add", 1, 1),
        ("rewrite of add", 1, 0),
    ]
    assert finish_of(events).word == "verified"


async def test_without_tests_and_reproduction_a_patch_is_unverified(tmp_path: Path) -> None:
    events = await resolve(
        sums(tmp_path, tests=""), [answers("no program"), answers(FIX)], Plan(None), order=MODEL_ALONE
    )
    assert finish_of(events).word == "unverified"


async def test_a_test_command_that_cannot_run_verifies_nothing(tmp_path: Path) -> None:
    script = [answers("no program"), answers(FIX)]
    events = await resolve(sums(tmp_path), script, Plan("pytes -q"), order=one_request)
    assert [reproduced.reproduction for reproduced in of_kind(events, Reproduced)] == [None]
    assert finish_of(events).word == "unverified"


async def test_the_issues_own_code_is_the_reproduction(tmp_path: Path) -> None:
    issue = "`add` is wrong:\n\n```python\nfrom sums import add\nassert add(2, 2) == 4\n```\n"
    root = sums(tmp_path, tests="from sums import add\n\n\ndef test_nothing():\n    assert add(0, 0) == 0\n")
    events = await resolve(root, [answers(FIX, FIX)], PLAN, order=MODEL_ALONE, issue=issue)
    [reproduced] = of_kind(events, Reproduced)
    assert reproduced.reproduction
    assert reproduced.reproduction.source == "issue"
    assert "AssertionError" in reproduced.reproduction.failure
    assert finish_of(events).word == "verified"


TWICE_TWO = "`add` is wrong:\n\n```python\nfrom sums import add\nassert add(2, 2) == 4\n```\n"
NOTHING_NOTICED = "from sums import add\n\n\ndef test_nothing():\n    assert add(0, 0) == 0\n"


async def test_where_a_program_is_all_there_is_answers_that_do_the_same_verify_each_other(tmp_path: Path) -> None:
    """2 * 2 is 4 as well: the issue's program cannot tell the two apart, and the test cannot either."""
    otherwise = "```python\ndef add(a, b):\n    return sum([a, b])\n```"
    events = await resolve(
        sums(tmp_path, tests=NOTHING_NOTICED),
        [answers(WRONG, FIX, otherwise)],
        PLAN,
        order=one_request,
        issue=TWICE_TWO,
    )
    assert [judged.verdict.finding for judged in of_kind(events, Judged)] == ["repairs"] * 3
    assert (finish_of(events).word, finish_of(events).candidate) == ("verified", 2)
    assert "on which 2 proposals agree" in finish_of(events).why


async def test_where_a_program_is_all_there_is_one_answer_alone_is_plausible(tmp_path: Path) -> None:
    root = sums(tmp_path, tests=NOTHING_NOTICED)
    events = await resolve(root, [answers(WRONG)], PLAN, order=one_request, issue=TWICE_TWO)
    assert (finish_of(events).word, finish_of(events).reason) == ("plausible", "done")
    assert finish_of(events).patch


async def test_answers_that_disagree_verify_neither(tmp_path: Path) -> None:
    root = sums(tmp_path, tests=NOTHING_NOTICED)
    events = await resolve(root, [answers(WRONG, WRONG, FIX, FIX)], PLAN, order=one_request, issue=TWICE_TWO)
    assert finish_of(events).word == "plausible"


async def test_a_mechanical_edit_alone_is_plausible_and_verified_with_an_answer_that_does_the_same(
    tmp_path: Path,
) -> None:
    root = sums(tmp_path, tests=NOTHING_NOTICED)
    program = "`add` is wrong:\n\n```python\nfrom sums import add\nassert add(2, 3) == 5\n```\n"
    rubbish = answers("I cannot.")
    alone = await resolve(root, [rubbish, rubbish], PLAN, order=one_request_and_edits, issue=program)
    assert (finish_of(alone).word, "a + b" in finish_of(alone).patch) == ("plausible", True)
    both = await resolve(root, [answers(FIX)], PLAN, order=one_request_and_edits, issue=program)
    assert finish_of(both).word == "verified"


async def test_what_stands_is_not_refined(tmp_path: Path) -> None:
    root = sums(tmp_path, tests=NOTHING_NOTICED)
    events = await resolve(root, repeat(answers(WRONG)), PLAN, order=first_and_refine, issue=TWICE_TWO)
    assert (finish_of(events).reason, len(of_kind(events, Sampled))) == ("done", 1)


async def test_a_program_of_the_models_counts_only_when_it_fails_for_the_issue(tmp_path: Path) -> None:
    root = sums(tmp_path, tests="def test_nothing():\n    pass\n")
    typo = "```python\nfrom sums import addd\nassert addd(2, 3) == 5\n```"
    passing = "```python\nfrom sums import add\nassert add(0, 0) == 0\n```"
    good = "```python\nfrom sums import add\nassert add(2, 3) == 5\n```"
    plan = Plan(PYTEST, tests_given=False)
    events = await resolve(root, [answers(typo, passing, good), answers(WRONG, FIX, FIX)], plan, order=MODEL_ALONE)
    [reproduced] = of_kind(events, Reproduced)
    assert reproduced.reproduction
    assert (reproduced.reproduction.source, "add(2, 3)" in reproduced.reproduction.script) == ("model", True)
    asked = of_kind(events, Sampled)[0]
    assert (asked.asked, asked.answers, asked.unusable, len(asked.problems)) == ("a reproduction", 3, 2, 1)
    assert asked.duration_s > 0
    assert finish_of(events).word == "verified"


async def test_a_candidate_that_breaks_a_test_is_wrong_though_it_repairs_others(tmp_path: Path) -> None:
    breaking = "```python\ndef add(a, b):\n    return a + b or 1\n```"
    events = await resolve(
        sums(tmp_path), [answers(breaking), answers(FIX)], Plan(PYTEST, candidates=1), order=MODEL_ALONE
    )
    [judged] = of_kind(events, Judged)
    assert [test.rpartition("::")[2] for test in judged.verdict.broken] == ["test_nothing"]
    assert finish_of(events).word == "none"


async def test_a_part_of_the_command_that_fails_now_is_a_regression_though_no_test_does(tmp_path: Path) -> None:
    root = sums(tmp_path, tests="def test_nothing():\n    pass\n")
    command = f"{PYTEST} && ! grep -q 'a . b' sum*.py || grep -q 'a - b' sum*.py"
    events = await resolve(
        root, [answers("no program"), answers(WRONG)], Plan(command, candidates=1), order=MODEL_ALONE
    )
    [judged] = of_kind(events, Judged)
    assert judged.verdict.broken == (command,)
    assert finish_of(events).word == "none"


async def test_there_are_no_more_candidates_than_were_asked_for(tmp_path: Path) -> None:
    """One answer, and of many mechanical edits two."""
    root = sums(tmp_path, tests=NOTHING_NOTICED)
    issue = "`add` is wrong:\n\n```python\nfrom sums import add\nassert add(2, 3) == 9\n```\n"
    plan = Plan(PYTEST, candidates=3)
    events = await resolve(root, [answers(WRONG)], plan, order=one_request_and_edits, issue=issue)
    assert [proposed.source for proposed in of_kind(events, Proposed)] == ["model", "mechanical", "mechanical"]
    assert (finish_of(events).reason, finish_of(events).word) == ("done", "none")


async def test_luck_is_not_called_verified(tmp_path: Path) -> None:
    """A test that passes the third time alone, with the first candidate: nothing that this does has to do with it."""
    runs = tmp_path / "runs"
    test = f"""
from pathlib import Path


def test_luck():
    with Path({str(runs)!r}).open("a+") as file:
        file.write(".")
    assert Path({str(runs)!r}).read_text() == "..."
"""
    root = sums(tmp_path, tests=test)
    plan = Plan(PYTEST, candidates=1)
    events = await resolve(root, repeat(answers(WRONG)), plan, order=MODEL_ALONE, sandbox="none")
    [judged, *_] = of_kind(events, Judged)
    assert runs.read_text() == "...."
    assert judged.verdict.finding == "wrong"
    assert finish_of(events).word == "none"


async def test_a_file_that_is_no_utf8_is_left_alone(tmp_path: Path) -> None:
    root = sums(tmp_path)
    (root / "sums.py").write_bytes("# -*- coding: latin-1 -*-\n# Prüfsummen\n".encode("latin-1") + SOURCE.encode())
    events = await resolve(root, repeat(answers(FIX)), PLAN, time_s=15)
    assert finish_of(events).word == "none"
    assert "".join(event.model_dump_json() for event in events)


async def test_an_edit_that_takes_out_what_is_no_utf8_is_none(tmp_path: Path) -> None:
    root = sums(tmp_path)
    latin = SOURCE.replace("a - b", "a - b  # f\xfcr").encode("latin-1")
    (root / "sums.py").write_bytes(b"# -*- coding: latin-1 -*-\n" + latin)
    events = await resolve(root, repeat(answers(FIX)), PLAN)
    assert (finish_of(events).reason, finish_of(events).word) == ("done", "none")
    assert "".join(event.model_dump_json() for event in events)


async def test_a_file_that_is_gone_meanwhile_ends_it_with_a_word(tmp_path: Path) -> None:
    root = sums(tmp_path)

    def gone(locations: Sequence[Location]) -> Iterable[Ask]:
        (root / locations[0].path).unlink()
        return [Ask("rewrite", locations[0])]

    finished = finish_of(await resolve(root, [], PLAN, order=gone))
    assert (finished.reason, finished.word) == ("infrastructure", "none")
    assert finished.why.endswith("sums.py: no such file or directory; the files have changed meanwhile; start again")


async def test_tests_that_hang_are_stopped_and_others_still_count(tmp_path: Path) -> None:
    hanging = "import time\nfrom sums import add\n\n\ndef test_hangs():\n    time.sleep(600)\n\n\n"
    root = sums(tmp_path, tests=f"{hanging}def test_add():\n    assert add(2, 3) == 5\n")
    events = await resolve(root, [answers(FIX)], PLAN, order=MODEL_ALONE)
    [judged] = of_kind(events, Judged)[:1]
    assert [test.rpartition("::")[2] for test in judged.verdict.repaired] == ["test_add"]
    assert finish_of(events).word == "none"  # test_hangs failed before, and fails still


async def test_of_a_suite_that_takes_too_long_the_nearest_tests_are_run(tmp_path: Path) -> None:
    root = sums(tmp_path)
    slow = "".join(f"def test_{number}(): time.sleep(3)\n" for number in range(40))
    (root / "test_all_else.py").write_text(f"import time\n{slow}")
    events = await resolve(root, [answers(FIX)], Plan(f"{PYTEST} test_all_else.py test_sums.py"), time_s=160)
    baselines = [event.suite for event in of_kind(events, BaselineRun)]
    assert [suite.timed_out for suite in baselines[:2]] == [True, False]
    assert baselines[1].command.endswith(" test_sums.py")
    assert finish_of(events).word == "verified"


async def test_what_failed_in_the_only_run_is_run_again_before_it_shows_anything(tmp_path: Path) -> None:
    names = [f"test_sums.py::test_{name}" for name in ("add", "nothing", "double")]
    suite = SuiteRun(command=PYTEST, exit_code=1, outcomes=dict.fromkeys(names, "failed"), output="", duration_s=60)
    once = BaselineRun(suite=suite, stable=None)
    events = await resolve(sums(tmp_path), [answers(FIX)], PLAN, order=one_request, earlier=[once])
    [again] = of_kind(events, BaselineRun)
    assert (again.suite, again.flaky, again.stable) == (suite, ("test_sums.py::test_nothing",), True)
    [reproduced] = of_kind(events, Reproduced)
    assert reproduced.reproduction
    assert set(reproduced.reproduction.failing_tests) == {names[0], names[2]}
    assert finish_of(events).word == "verified"


async def test_tests_that_failed_by_chance_reproduce_nothing(tmp_path: Path) -> None:
    suite = SuiteRun(command=f"{PYTEST} && true", exit_code=1, output="", duration_s=60)
    root = sums(tmp_path, tests=NOTHING_NOTICED)
    script = [answers("no program"), answers(FIX)]
    earlier = [BaselineRun(suite=suite, stable=None)]
    events = await resolve(root, script, PLAN, order=one_request, earlier=earlier)
    assert [again.stable for again in of_kind(events, BaselineRun)] == [False]
    [reproduced] = of_kind(events, Reproduced)
    assert reproduced.reproduction is None
    assert reproduced.problem.startswith("the tests are not known to fail each time, and no program")
    assert finish_of(events).word != "verified"


async def test_an_interrupted_resolution_goes_on_from_its_last_stage(tmp_path: Path) -> None:
    root = sums(tmp_path)
    first = await resolve(root, [answers(WRONG)], PLAN, order=MODEL_ALONE)
    assert finish_of(first).reason == "infrastructure"  # the script has run out
    events = await resolve(root, [answers(FIX)], PLAN, order=MODEL_ALONE, earlier=first[:-1])
    assert [of_kind(events, kind) for kind in (BaselineRun, Localised, Reproduced)] == [[], [], []]
    assert (finish_of(events).word, finish_of(events).candidate) == ("verified", 2)


async def test_interrupted_after_the_tests_it_still_knows_what_they_execute(tmp_path: Path) -> None:
    tests = ["test_sums.py::test_add", "test_sums.py::test_double"]
    suite = SuiteRun(command=PYTEST, exit_code=1, outcomes=dict.fromkeys(tests, "failed"), output="", duration_s=1)
    events = await resolve(sums(tmp_path), [], PLAN, order=one_request, earlier=[BaselineRun(suite=suite)])
    [localised] = of_kind(events, Localised)
    assert 5 in localised.locations[0].suspicious_lines


async def test_taken_up_again_an_answer_does_not_agree_with_itself(tmp_path: Path) -> None:
    root = sums(tmp_path, tests=NOTHING_NOTICED)

    def twice(locations: Sequence[Location]) -> Iterable[Ask]:
        return [Ask("rewrite", locations[0]), Ask("explained", locations[0])]

    first = await resolve(root, [answers(FIX)], PLAN, order=twice, issue=TWICE_TWO)
    assert (finish_of(first).reason, finish_of(first).word) == ("infrastructure", "plausible")
    script = [answers("I cannot."), answers("Sorry."), answers(FIX)]
    again = await resolve(root, script, PLAN, order=twice, issue=TWICE_TWO, earlier=first[:-1])
    assert [sampled.ask for sampled in of_kind([*first, *again], Sampled)] == [1, 2]
    assert finish_of(again).word == "plausible"


async def test_a_stop_leaves_the_tree_and_says_so(tmp_path: Path) -> None:
    root = sums(tmp_path)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(1.0, stop.set)
    events = await resolve(root, [answers(WRONG)] * 50, Plan(f"sleep 30 && {PYTEST}"), stop=stop)
    assert (finish_of(events).reason, finish_of(events).word) == ("interrupted", "none")
    assert git(root, "status", "--porcelain") == ""


async def test_the_time_limit_ends_it_with_the_best_so_far(tmp_path: Path) -> None:
    events = await resolve(sums(tmp_path), repeat(answers(WRONG)), PLAN, order=MODEL_ALONE, time_s=30)
    assert (finish_of(events).reason, finish_of(events).word) == ("time_limit", "none")


async def test_no_answer_is_asked_for_when_the_tokens_are_used_up(tmp_path: Path) -> None:
    said = answers(WRONG).model_copy(update={"usage": Usage(prompt_tokens=70, completion_tokens=10)})
    plan = replace(PLAN, tokens=150)
    events = await resolve(sums(tmp_path), repeat(said), plan, order=MODEL_ALONE)
    assert (finish_of(events).reason, finish_of(events).word) == ("token_limit", "none")
    assert finish_of(events).usage.prompt_tokens == 140


async def test_localisation_keeps_to_its_share_of_the_time(tmp_path: Path) -> None:
    root = sums(tmp_path)
    for number in range(150):
        (root / f"other_{number}.py").write_text(SOURCE * 1_000)
    await resolve(root, [], Plan(None), order=one_request, time_s=10)
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        [read] = index.execute("SELECT count(*) FROM files").fetchone()
    assert 0 < read < 150


async def test_another_language_is_worked_on_and_left_unverified(tmp_path: Path) -> None:
    root = tmp_path / "js"
    root.mkdir()
    (root / "sums.js").write_text("function add(a, b) {\n  return a - b;\n}\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=start")
    block = "<<<<<<< SEARCH\n  return a - b;\n=======\n  return a + b;\n>>>>>>> REPLACE"
    events = await resolve(root, [answers("none"), answers(block)], Plan(None), issue="add in sums.js subtracts")
    assert finish_of(events).word == "unverified"
    assert "+  return a + b;" in finish_of(events).patch
