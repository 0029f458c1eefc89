"""What is known of the user's tests before anything is changed: a failure counts when it comes again."""

from pathlib import Path

from patchwright.config import load_settings
from patchwright.resolve.baseline import Baseline
from patchwright.resolve.judge import Trees

from .workshop import PYTEST, sums


async def test_failures_that_the_second_run_does_not_come_to_are_not_relied_on(tmp_path: Path) -> None:
    """The command hangs from the second time on."""
    ran = tmp_path / "ran"
    hanging = f"test -e {ran} && sleep 60; touch {ran}; {PYTEST}"
    tests = Baseline(Trees("none", sums(tmp_path), load_settings().sandbox))
    _, baseline = await tests.run(hanging, 8)
    assert (baseline.stable, "test_sums.py::test_add" in baseline.suite.outcomes) == (None, True)


async def test_what_fails_twice_and_what_passes_are_relied_on(tmp_path: Path) -> None:
    tests = Baseline(Trees("bubblewrap", sums(tmp_path), load_settings().sandbox))
    traced, baseline = await tests.run(PYTEST, 60)
    assert (baseline.stable, baseline.flaky) == (True, ())
    assert traced
    assert 5 in traced.lines["test_sums.py::test_add"]["sums.py"]
