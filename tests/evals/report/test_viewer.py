"""The viewer shows all of a real trajectory, and nothing in one can act."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from patchwright.evals.report.blocks import Block, Card, Table, diff_lines
from patchwright.evals.report.cards import cards_of
from patchwright.evals.report.inert import bounded, inert
from patchwright.evals.report.recorded_run import RecordedRun
from patchwright.evals.report.viewer import attempt_page, session_page
from patchwright.schema.events import AnyEvent, Replied, StepStarted, ToolFinished
from patchwright.schema.messages import AssistantMessage, ToolCall, ToolMessage, Usage
from patchwright.schema.trajectory import Header, Trajectory, write
from tests.conftest import bugged

from .pages import assert_inert
from .runs import attempt, write_attempt, write_run
from .trajectories import HOSTILE, hostile_run, resolution

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    """Events of a run of the agent in which everything that can be hostile is."""
    return asyncio.run(hostile_run(bugged(tmp_path_factory.mktemp("hostile"))))


@pytest.fixture
def run(tmp_path: Path, hostile: list[AnyEvent]) -> RecordedRun:
    made = write_run(tmp_path / "one", [], ["a__b-1"], scaffold=HOSTILE[:200], model=HOSTILE[:200])
    bad = attempt("a__b-1", resolved=False, patch=HOSTILE, detail=HOSTILE, problem=HOSTILE)
    (write_attempt(made.path, bad, hostile) / "scaffold.log").write_text(HOSTILE, newline="")
    return made


def test_a_run_is_shown_step_by_step(hostile: list[AnyEvent]) -> None:
    cards = cards_of(hostile)
    assert [(card.title, card.about, card.tone) for card in cards] == [
        ("Start", "the task", ""),
        ("Step 1", "execute_bash", ""),
        ("Step 2", "str_replace_editor", ""),
        ("Step 3", "execute_bash", ""),
        ("Step 4", "no call", ""),
        ("Step 5", "str_replace_editor", ""),
        ("Step 6", "finish", "good"),
        ("End: done", "done", "good"),
    ]
    made = [block for block in cards[2].blocks if isinstance(block, Block)]
    assert [block.title for block in made if "observation" not in block.title] == [
        "assistant",
        "call str_replace_editor · command",
        "call str_replace_editor · path",
        "call str_replace_editor · file_text",
        "change",
    ]
    assert [line.look for line in made[-1].lines][:4] == ["file", "file", "hunk", "added"]


async def test_a_resolution_is_shown_stage_by_stage(tmp_path: Path) -> None:
    cards = cards_of(await resolution(tmp_path))
    assert [card.title for card in cards] == [
        *("Issue", "Tests before", "Locations", "Reproduction", "Sampled", "Candidate 1", "Candidate 2"),
        "Selected: verified, candidate 2",
    ]
    assert [(card.about, card.tone) for card in cards[5:7]] == [("wrong: add", "bad"), ("repairs: add", "good")]
    assert "proposed once more" in cards[6].facts
    [table] = [block for block in cards[2].blocks if isinstance(block, Table)]
    assert table.rows[0][:2] == ("sums.py:4–5", "add")
    assert _block(cards[5], "how it failed").shown
    assert "+    return a + b" in _block(cards[7], "selected patch").text


def test_nothing_in_a_trajectory_can_act(run: RecordedRun) -> None:
    page = assert_inert(attempt_page(run, "a__b-1", 1))
    assert "<script>document.title = 'taken'</script>" in page.text
    assert r"access = 'user\u202e \u2066// is admin\u2069 \u2066'; zero\u200bwidth; nul \x00; \r over" in page.text
    assert r"\x1b[31mred\x1b[0m \x1b]0;title\x07" in page.text
    assert "{{ 7 * 7 }} {% raw %}" in page.text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_real_browser_runs_our_script_and_no_other(run: RecordedRun, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(attempt_page(run, "a__b-1", 1), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        profile,
        "--dump-dom",
        f"{page.as_uri()}#card-2",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert "<title>a__b-1, attempt 1</title>" in shown
    assert 'href="#card-2" class="" aria-current="step"' in shown
    assert "<img" not in shown


def test_an_attempt_that_is_not_over_is_shown_as_far_as_it_went(tmp_path: Path, hostile: list[AnyEvent]) -> None:
    made = write_run(tmp_path / "one", [], ["a__b-1"])
    directory = write_attempt(made.path, attempt("a__b-1", resolved=True), hostile)
    (directory / "attempt.json").unlink()
    text = assert_inert(attempt_page(made, "a__b-1", 1)).text
    assert "not over" in text
    assert "Step 6" in text


def test_an_attempt_of_another_scaffold_shows_its_patch_grade_and_log(tmp_path: Path) -> None:
    made = write_run(tmp_path / "one", [attempt("a__b-1", resolved=False, problem="1 test fails")], ["a__b-1"])
    (made.directory_of("a__b-1", 1) / "scaffold.log").write_text("aider says: hm\n")
    text = assert_inert(attempt_page(made, "a__b-1", 1)).text
    assert "1 test fails" in text
    assert "+    return a + b" in text
    assert "aider says: hm" in text


def test_an_exported_session_is_shown_too(tmp_path: Path, hostile: list[AnyEvent]) -> None:
    header = Header(id="s1", created="2026-01-01T00:00:00Z", patchwright="0.1.0")
    path = tmp_path / "session.jsonl"
    write(path, Trajectory(header=header, events=tuple(hostile)))
    assert "Step 6" in assert_inert(session_page(path)).text


def test_a_duration_that_is_no_number_is_shown_as_such() -> None:
    message = ToolMessage(tool_call_id="a", name="search", content="")
    lasted = [float("nan"), float("inf"), 0.0, 7.0, 7.25, 12.34, 1234.5]
    [card] = cards_of([ToolFinished(message=message, duration_s=each) for each in lasted])
    shown = [block.title for block in card.blocks if isinstance(block, Block)]
    assert shown == [f"observation, {each} s" for each in ("nan", "inf", "0", "7", "7.25", "12.3", "1,234")]


def test_a_call_that_was_not_run_is_shown_as_such() -> None:
    message = AssistantMessage(tool_calls=(ToolCall(id="a", name="search", arguments="not JSON"),))
    replied = Replied(message=message, usage=Usage(), finish_reason="tool_calls", first_token_s=0, duration_s=0)
    first, _ = cards_of([StepStarted(step=1, prompt_tokens=1), replied, StepStarted(step=2, prompt_tokens=1)])
    assert _block(first, "call search, not run").text == "not JSON"


def test_long_output_shows_its_beginning_and_a_log_its_end() -> None:
    text = "\n".join(map(str, range(100)))
    code, log = Block("output", text), Block("output", text, "log")
    assert (code.shown.split()[0], code.shown + code.rest, code.rest_size) == ("0", text, "92 more lines")
    assert (log.shown.split()[-1], log.rest + log.shown) == ("99", text)
    assert Block("output", text, whole=True).rest == ""


def test_a_huge_line_is_cut_down() -> None:
    block = Block("output", "x" * 10_000_000)
    assert len(block.shown) == 900
    assert len(block.rest) < 100_100
    assert "9,900,000 characters are not shown here" in block.rest
    assert bounded("short") == "short"


def test_what_looks_like_a_files_name_within_a_hunk_is_a_line() -> None:
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- removed\n+++ added\n same"
    assert [line.look for line in diff_lines(diff)] == ["file", "file", "file", "hunk", "removed", "added", ""]


def test_text_that_can_be_printed_stays_as_it_is() -> None:
    assert inert("größer 数学 🎉\n\tdef f():") == "größer 数学 🎉\n\tdef f():"


def test_an_observation_without_its_step_is_shown() -> None:
    message = ToolMessage(tool_call_id="a", name="search", content="")
    [card] = cards_of([ToolFinished(message=message, duration_s=0.5, failed=True)])
    assert (card.title, card.tone, _block(card, "observation, failed, 0.50 s").text) == ("Start", "bad", "(nothing)")


def _block(card: Card, title: str) -> Block:
    [block] = [block for block in card.blocks if isinstance(block, Block) and block.title == title]
    return block
