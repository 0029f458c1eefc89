"""What running a candidate shows, and what is no evidence for it."""

from pathlib import Path

from patchwright.config import load_settings
from patchwright.resolve.judge import Judge, Limits, Trees
from patchwright.resolve.sources import unified_diff
from patchwright.schema.resolution import Candidate, Reproduction

from .workshop import SOURCE, sums

CANDIDATE = Candidate(id=1, source="model", path="sums.py", patch="", key="k")

ASSERTED = "from sums import add\nassert add(2, 3) == 5"
PROGRAM = Reproduction(
    source="issue", command="PYTHONPATH=. python3 $REPRODUCTION", script=ASSERTED, program=ASSERTED, failure=""
)


def judge(root: Path, reproduction: Reproduction | None = None) -> Judge:
    return Judge(
        trees=Trees("bubblewrap", root, load_settings().sandbox),
        reproduction=reproduction,
        command=None,
        baseline=None,
        flaky=frozenset(),
        limits=Limits(suite_s=30, test_s=5, script_s=10),
    )


async def test_a_candidate_that_cannot_be_tried_is_wrong_and_says_why(tmp_path: Path) -> None:
    verdict = await judge(tmp_path / "gone").verdict(CANDIDATE)
    assert verdict.finding == "wrong"
    assert verdict.failure.startswith("it could not be tried: ")


async def test_a_program_has_to_come_to_its_end(tmp_path: Path) -> None:
    root = sums(tmp_path, tests="")
    for leaving in ("raise SystemExit", "__import__('os')._exit(0)"):
        patch = unified_diff("sums.py", SOURCE, SOURCE.replace("return a - b", leaving))
        verdict = await judge(root, PROGRAM).verdict(CANDIDATE.model_copy(update={"patch": patch}))
        assert (verdict.finding, verdict.failure.strip()) == ("wrong", "the program was ended before its last line")
    patch = unified_diff("sums.py", SOURCE, SOURCE.replace("a - b", "a + b"))
    assert (await judge(root, PROGRAM).verdict(CANDIDATE.model_copy(update={"patch": patch}))).finding == "repairs"


async def test_a_program_that_exits_by_itself_may(tmp_path: Path) -> None:
    root = sums(tmp_path, tests="")
    program = f"import sys\n{ASSERTED}\nsys.exit(0)"
    patch = unified_diff("sums.py", SOURCE, SOURCE.replace("a - b", "a + b"))
    candidate, shown = CANDIDATE.model_copy(update={"patch": patch}), PROGRAM.model_copy(update={"script": program})
    assert (await judge(root, shown).verdict(candidate)).finding == "repairs"
