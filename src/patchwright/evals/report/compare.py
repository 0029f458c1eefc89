"""Two runs compared, instance by instance."""

from collections.abc import Iterator, Sequence

from patchwright.errors import RecordError
from patchwright.evals.report.count import costs_of
from patchwright.evals.report.figures import GRADED_IN, labels
from patchwright.evals.report.report import Comparison, Costs, InstanceRow, RunReport
from patchwright.evals.report.statistics import mcnemar, rate_of
from patchwright.schema.attempt import RunFacts

Pair = tuple[InstanceRow, InstanceRow]


def compare(first: RunReport, second: RunReport, names: Sequence[str] = ()) -> Comparison:
    """A paired comparison. With one attempt each it is McNemar's; with more, an instance speaks for the run that
    resolved the greater share of its attempts, and the test is the sign test on those (W. J. Dixon and A. M. Mood,
    "The statistical sign test", JASA 41 (1946) 557–566), of which McNemar's exact test is the case of one attempt.

    `names` are what the two are called; their labels if not given. Raises RecordError when the benchmarks differ.
    """
    first_name, second_name = names or labels([first, second])
    if first.facts.benchmark != second.facts.benchmark:
        raise RecordError(
            f"{first_name} ran {first.facts.benchmark}, {second_name} ran {second.facts.benchmark}",
            hint="only runs of the same benchmark can be compared",
        )
    both = _in_both(first, second)
    pairs = [(a, b) for a, b in both if a.over and b.over]
    first_better = tuple(a.instance_id for a, b in pairs if _share(a) > _share(b))
    second_better = tuple(a.instance_id for a, b in pairs if _share(a) < _share(b))
    return Comparison(
        first=first_name,
        second=second_name,
        benchmark=first.facts.benchmark,
        instances=len(pairs),
        first_rate=rate_of(sum(a.resolved for a, _ in pairs), len(pairs), first.facts.attempts),
        second_rate=rate_of(sum(b.resolved for _, b in pairs), len(pairs), second.facts.attempts),
        first_better=first_better,
        second_better=second_better,
        both=sum(_share(a) == _share(b) == 1 for a, b in pairs),
        neither=sum(_share(a) == _share(b) == 0 for a, b in pairs),
        test="exact McNemar test" if first.facts.attempts == second.facts.attempts == 1 else "exact sign test",
        p_value=mcnemar(len(first_better), len(second_better)),
        first_costs=_costs([a for a, _ in pairs]),
        second_costs=_costs([b for _, b in pairs]),
        only_in_one=len(first.instances) + len(second.instances) - 2 * len(both),
        not_over=len(both) - len(pairs),
        differences=tuple(_differences(first.facts, second.facts)),
    )


def _differences(first: RunFacts, second: RunFacts) -> Iterator[str]:
    # The hash is of all rows in their order: that of other instances is another, whatever the rows are that both have.
    if first.instance_ids == second.instance_ids and first.rows and second.rows and first.rows != second.rows:
        yield "the rows are not the same, though their ids are"
    if first.graded_in != second.graded_in:
        yield f"graded in different places: {GRADED_IN[first.graded_in]} and {GRADED_IN[second.graded_in]}"
    if first.time_limit_s != second.time_limit_s:
        yield f"time limits differ: {first.time_limit_s:g} s and {second.time_limit_s:g} s"
    if first.test_timeout_s != second.test_timeout_s:
        yield f"time limits of the tests differ: {first.test_timeout_s:g} s and {second.test_timeout_s:g} s"


def _in_both(first: RunReport, second: RunReport) -> list[Pair]:
    others = {instance.instance_id: instance for instance in second.instances}
    return [(one, others[one.instance_id]) for one in first.instances if one.instance_id in others]


def _share(instance: InstanceRow) -> float:
    return instance.resolved / len(instance.attempts)


def _costs(instances: Sequence[InstanceRow]) -> Costs:
    return costs_of(attempt for instance in instances for attempt in instance.attempts)
