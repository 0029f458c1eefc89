"""What running a candidate shows, and what is no evidence for it."""

from pathlib import Path

from patchwright.config import load_settings
from patchwright.resolve.judge import Judge, Limits, Trees
from patchwright.schema.resolution import Candidate, Reproduction

CANDIDATE = Candidate(id=1, source="model", path="sums.py", patch="", key="k")


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
