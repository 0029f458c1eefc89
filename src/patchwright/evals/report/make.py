"""A report made of runs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations

from patchwright import __version__
from patchwright.evals.report.compare import compare
from patchwright.evals.report.count import count
from patchwright.evals.report.figures import labels
from patchwright.evals.report.published import published
from patchwright.evals.report.recorded_run import RecordedRun
from patchwright.evals.report.report import Report


def report_on(directories: Sequence[RecordedRun]) -> Report:
    """All runs, and each two of the same benchmark compared. Raises RecordError."""
    runs = tuple(count(directory) for directory in directories)
    return Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        patchwright=__version__,
        runs=runs,
        comparisons=tuple(
            compare(first, second, names)
            for (first, second), names in zip(combinations(runs, 2), combinations(labels(runs), 2), strict=True)
            if first.facts.benchmark == second.facts.benchmark
        ),
        published=published(),
    )
