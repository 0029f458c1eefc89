"""Two runs of a suite side by side."""

from patchwright.repo.testing.compare import broken, failing, flaky, repaired
from patchwright.schema.resolution import SuiteRun, TestOutcome


def run(timed_out: bool = False, **outcomes: TestOutcome) -> SuiteRun:
    return SuiteRun(command="t", exit_code=0, outcomes=outcomes, output="", duration_s=1, timed_out=timed_out)


def module(outcomes: dict[str, TestOutcome]) -> SuiteRun:
    return SuiteRun(command="t", exit_code=0, outcomes=outcomes, output="", duration_s=1)


def test_what_did_not_pass_and_was_not_skipped_is_failing() -> None:
    ran = run(e="timed_out", a="passed", b="failed", c="error", d="skipped")
    assert failing(ran) == ("e", "b", "c")


def test_what_passed_and_does_not_now_is_broken() -> None:
    before = run(a="passed", b="passed", c="passed", d="passed", e="passed", f="failed")
    after = run(a="passed", b="failed", c="error", d="timed_out", f="failed", g="failed")
    assert broken(before, after) == ("b", "c", "d", "e")


def test_a_test_that_is_skipped_now_is_broken() -> None:
    assert broken(run(a="passed", b="skipped"), run(a="skipped", b="skipped")) == ("a",)


def test_flaky_tests_are_not_broken() -> None:
    assert broken(run(a="passed", b="passed"), run(a="failed"), flaky={"a", "b"}) == ()


def test_what_failed_and_passes_now_is_repaired() -> None:
    before = run(a="failed", b="error", c="timed_out", d="failed", e="failed", f="passed", g="failed")
    after = run(a="passed", b="passed", c="passed", d="failed", e="skipped", f="passed")
    assert repaired(before, after) == ("a", "b", "c")


def test_a_module_is_repaired_when_its_tests_run_and_pass() -> None:
    before = module({"test_a.py": "error", "test_b.py": "error", "test_c.py": "error"})
    after = module(
        {
            "test_a.py::test_x": "passed",
            "test_a.py::test_y": "skipped",
            "test_b.py::x": "passed",
            "test_b.py::y": "failed",
        }
    )
    assert repaired(before, after) == ("test_a.py",)


def test_outcomes_that_differ_are_flaky() -> None:
    first = run(a="passed", b="passed", c="failed", d="passed")
    second = run(a="passed", b="failed", c="passed", e="passed")
    assert flaky(first, second) == {"b", "c", "d", "e"}


def test_what_a_run_did_not_come_to_is_not_flaky() -> None:
    assert flaky(run(a="passed", b="passed", c="passed"), run(True, a="passed", b="failed")) == {"b"}
