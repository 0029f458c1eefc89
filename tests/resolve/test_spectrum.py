import math

from patchwright.repo.testing.program import Executed
from patchwright.resolve.spectrum import suspiciousness
from patchwright.schema.resolution import SuiteRun, TestOutcome


def run(outcomes: dict[str, TestOutcome], lines: dict[str, dict[str, tuple[int, ...]]], exit_code: int = 1) -> SuiteRun:
    return SuiteRun(command="pytest", exit_code=exit_code, outcomes=outcomes, lines=lines, output="", duration_s=1)


def test_lines_that_only_failing_tests_execute_are_the_most_suspicious():
    found = suspiciousness(
        run(
            {"a": "failed", "b": "passed", "c": "passed", "d": "passed"},
            {"a": {"m.py": (1, 2, 3)}, "b": {"m.py": (1, 2)}, "c": {"m.py": (1, 4)}, "d": {"m.py": (1,)}},
        )
    )
    assert found == {"m.py": {1: 1 / math.sqrt(4), 2: 1 / math.sqrt(2), 3: 1.0}}


def test_one_failing_test_alone_suspects_all_that_it_executed():
    assert suspiciousness(run({"a": "failed"}, {"a": {"m.py": (1, 2), "n.py": (7,)}})) == {
        "m.py": {1: 1.0, 2: 1.0},
        "n.py": {7: 1.0},
    }


def test_errors_and_timeouts_count_as_failures_and_skipped_tests_as_nothing():
    outcomes: dict[str, TestOutcome] = {"a": "error", "b": "timed_out", "c": "skipped"}
    found = suspiciousness(run(outcomes, {test: {"m.py": (1,)} for test in outcomes}))
    assert found == {"m.py": {1: 1.0}}


def test_a_failing_test_whose_lines_nobody_knows_is_not_counted():
    assert suspiciousness(run({"a": "failed", "b": "failed"}, {"a": {"m.py": (1,)}})) == {"m.py": {1: 1.0}}


def test_lines_of_test_files_are_left_out():
    assert suspiciousness(run({"a": "failed"}, {"a": {"tests/test_m.py": (1,), "m.py": (2,)}})) == {"m.py": {2: 1.0}}


def test_where_the_command_names_no_outcomes_its_exit_code_speaks():
    lines = {"script": {"m.py": (1,)}}
    assert suspiciousness(run({}, lines)) == {"m.py": {1: 1.0}}
    assert suspiciousness(run({}, lines, exit_code=0)) == {}


def test_no_failing_test_suspects_nothing():
    assert suspiciousness(run({"a": "passed"}, {"a": {"m.py": (1,)}}, exit_code=0)) == {}


def test_a_program_that_fails_counts_as_a_failing_test() -> None:
    passing = run({"a": "passed"}, {"a": {"m.py": (1,)}}, exit_code=0)
    executed = Executed(lines={"m.py": (1, 2)})
    assert suspiciousness(passing, executed) == {"m.py": {1: 1 / math.sqrt(2), 2: 1.0}}
    assert suspiciousness(None, Executed(lines={"m.py": (3,)})) == {"m.py": {3: 1.0}}


def test_what_is_set_up_once_was_there_for_every_test_and_not_only_for_the_first() -> None:
    outcomes: dict[str, TestOutcome] = {"a": "passed", "b": "passed", "c": "passed"}
    passing = run(outcomes, {"a": {"m.py": (1, 5)}, "b": {"m.py": (1,)}, "c": {}}, exit_code=0)
    executed = Executed(lines={"m.py": (1,)}, set_up={"m.py": (5,)})
    assert suspiciousness(passing, executed) == {"m.py": {1: 1 / math.sqrt(3), 5: 1 / math.sqrt(4)}}
