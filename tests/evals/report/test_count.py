"""A run counted, and two runs compared."""

from pathlib import Path

import pytest

from patchwright.errors import RecordError
from patchwright.evals.report.compare import compare
from patchwright.evals.report.count import count
from patchwright.evals.report.report import PassAt
from patchwright.evals.report.statistics import Spread
from patchwright.schema.messages import Usage

from .runs import attempt, write_run

IDS = ["django__django-1", "django__django-2", "psf__requests-3", "psf__requests-4"]


def test_what_crashed_or_is_not_over_or_was_not_graded_stays_in_the_denominator(tmp_path: Path) -> None:
    attempts = [
        attempt(IDS[0], resolved=True),
        attempt(IDS[1], resolved=None, exit_reason="error", patch=""),
        attempt(IDS[2], resolved=False, exit_reason="gave_up", patch="", problem="no patch"),
    ]
    run = count(write_run(tmp_path / "one", attempts, IDS))
    assert (run.rate.resolved, run.rate.of, run.rate.rate, run.over) == (1, 4, 0.25, 3)
    assert run.exits == {"done": 1, "error": 1, "gave_up": 1, "not over": 1}
    assert [row.attempts[0].problem for row in run.instances] == ["", "grading failed", "no patch", ""]
    assert run.in_progress


def test_what_a_crash_left_does_not_count_though_its_tests_pass(tmp_path: Path) -> None:
    run = count(write_run(tmp_path / "one", [attempt(IDS[0], resolved=True, exit_reason="error")], IDS[:1]))
    assert (run.rate.resolved, run.rate.of, run.over) == (0, 1, 1)


def test_excluded_instances_do_not_count(tmp_path: Path) -> None:
    run = count(write_run(tmp_path / "one", [attempt(IDS[0], resolved=True)], IDS[:1], excluded={IDS[1]: "no wheel"}))
    assert (run.rate.of, run.rate.rate) == (1, 1.0)


def test_pass_at_k_of_several_attempts(tmp_path: Path) -> None:
    attempts = [
        attempt(IDS[0], resolved=True, number=1),
        attempt(IDS[0], resolved=False, number=2),
        attempt(IDS[1], resolved=False, number=1),
        attempt(IDS[1], resolved=False, number=2),
    ]
    run = count(write_run(tmp_path / "one", attempts, IDS[:2], each=2))
    assert run.pass_at == (PassAt(k=1, rate=0.25), PassAt(k=2, rate=0.5))


def test_costs_are_of_the_attempts_that_are_over_and_say(tmp_path: Path) -> None:
    usage = Usage(prompt_tokens=1000, cached_tokens=800, completion_tokens=50)
    attempts = [
        attempt(IDS[0], resolved=True, seconds=10, usage=usage),
        attempt(IDS[1], resolved=False, seconds=30, steps=None),
    ]
    costs = count(write_run(tmp_path / "one", attempts, IDS[:3])).costs
    assert costs.seconds == Spread(known=2, mean=20, median=20, total=40)
    assert costs.steps == Spread(known=1, mean=4, median=4, total=4)
    assert costs.cached_tokens == Spread(known=1, mean=800, median=800, total=800)


def test_each_repository_has_its_own_rate(tmp_path: Path) -> None:
    attempts = [attempt(name, resolved=name.startswith("django")) for name in IDS[:3]]
    rows = count(write_run(tmp_path / "one", attempts, IDS[:3])).repositories
    assert [(row.repo, row.instances, row.rate.rate) for row in rows] == [
        ("django/django", 2, 1.0),
        ("psf/requests", 1, 0),
    ]


def test_only_changed_lines_count_as_lines_of_a_patch(tmp_path: Path) -> None:
    run = count(write_run(tmp_path / "one", [attempt(IDS[0], resolved=True)], IDS[:1]))
    assert run.instances[0].attempts[0].patch_lines == 2


def test_a_comparison_is_of_what_both_have_and_have_done(tmp_path: Path) -> None:
    first = count(write_run(tmp_path / "one", [attempt(name, resolved=True) for name in IDS[:3]], IDS))
    second_attempts = [attempt(IDS[0], resolved=True), attempt(IDS[1], resolved=False), attempt(IDS[3], resolved=False)]
    second = count(write_run(tmp_path / "two", second_attempts, [*IDS, "psf__requests-5"]))
    compared = compare(first, second)
    assert (compared.instances, compared.both, compared.neither) == (2, 1, 0)
    assert (compared.first_better, compared.second_better) == ((IDS[1],), ())
    assert (compared.only_in_one, compared.not_over, compared.p_value) == (1, 2, 1.0)


def test_of_several_attempts_the_greater_share_counts(tmp_path: Path) -> None:
    first = count(write_run(tmp_path / "one", [attempt(name, resolved=True) for name in IDS], IDS))
    half = [attempt(name, resolved=number == 1, number=number) for name in IDS for number in (1, 2)]
    compared = compare(first, count(write_run(tmp_path / "two", half, IDS, each=2)))
    assert compared.first_better == tuple(IDS)
    assert (compared.second_rate.rate, compared.both, compared.neither) == (0.5, 0, 0)
    assert (compared.test, compared.p_value) == ("exact sign test", 0.125)


def test_runs_of_different_benchmarks_are_not_compared(tmp_path: Path) -> None:
    first = count(write_run(tmp_path / "one", [], IDS))
    with pytest.raises(RecordError, match="two ran humanevalfix"):
        compare(first, count(write_run(tmp_path / "two", [], IDS, benchmark="humanevalfix")))


def test_runs_of_the_same_name_are_compared_by_their_directories(tmp_path: Path) -> None:
    first = count(write_run(tmp_path / "a" / "run", [attempt(IDS[0], resolved=True)], IDS[:1]))
    second = count(write_run(tmp_path / "b" / "run", [], IDS))
    compared = compare(first, second)
    assert (compared.first, compared.second) == (f"{tmp_path}/a/run", f"{tmp_path}/b/run")
    other = count(write_run(tmp_path / "c" / "run", [], IDS, benchmark="humanevalfix"))
    with pytest.raises(RecordError, match=r"/a/run ran quixbugs, .*/c/run ran humanevalfix"):
        compare(first, other)


def test_a_comparison_names_what_else_the_runs_differ_in(tmp_path: Path) -> None:
    one = count(write_run(tmp_path / "one", [], IDS, rows="abc", time_limit_s=60))
    two = count(write_run(tmp_path / "two", [], IDS, rows="def", graded_in="docker", test_timeout_s=900))
    assert compare(one, two).differences == (
        "the rows are not the same, though their ids are",
        "graded in different places: its own environments and the official images",
        "time limits differ: 60 s and 600 s",
        "time limits of the tests differ: 1800 s and 900 s",
    )
    others = (write_run(tmp_path / "part", [], IDS[:2], rows="ghi"), write_run(tmp_path / "old", [], IDS))
    whole = count(write_run(tmp_path / "whole", [], IDS, rows="def"))
    assert [compare(whole, count(other)).differences for other in others] == [(), ()]
