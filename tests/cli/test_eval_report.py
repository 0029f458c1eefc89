import json
import shlex
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patchwright.cli.eval import app
from patchwright.errors import ConfigError, PatchwrightError, RecordError
from patchwright.schema.events import StepStarted
from tests.evals.report.runs import attempt, write_attempt, write_run

IDS = ["a__b-1", "a__b-2"]


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    one = write_run(tmp_path / "one", [attempt(IDS[1], resolved=True)], IDS)
    write_attempt(one.path, attempt(IDS[0], resolved=True), [StepStarted(step=1, prompt_tokens=3)])
    two = write_run(tmp_path / "two", [attempt(IDS[0], resolved=True), attempt(IDS[1], resolved=False)], IDS)
    return one.path, two.path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_of(result: Result) -> PatchwrightError:
    assert isinstance(result.exception, PatchwrightError)
    return result.exception


def test_report_prints_markdown(runs: tuple[Path, Path]) -> None:
    printed = invoke("report", *runs).stdout
    assert printed.startswith("# Evaluation report\n")
    assert "| one | quixbugs | tiny | run | 2 of 2 | 100.0 % |" in printed


def test_report_prints_json_and_html_too(runs: tuple[Path, Path]) -> None:
    assert json.loads(invoke("report", runs[0], "--format", "json").stdout)["runs"][0]["rate"]["resolved"] == 2
    assert invoke("report", runs[0], "--format", "html").stdout.startswith("<!doctype html>")


def test_report_writes_all_files_and_prints_their_paths(runs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    printed = invoke("report", *runs, "--out", out).stdout
    assert printed.split() == [str(out / name) for name in ("report.md", "report.json", "report.html")]
    assert (out / "trajectories" / "1" / "a__b-1-1.html").exists()


def test_report_writes_the_one_file_that_was_asked_for(runs: tuple[Path, Path], tmp_path: Path) -> None:
    invoke("report", *runs, "--out", tmp_path / "out", "--format", "json")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]


def test_all_formats_want_a_directory(runs: tuple[Path, Path]) -> None:
    error = error_of(invoke("report", *runs, "--format", "all"))
    assert isinstance(error, ConfigError)
    assert "--out" in (error.hint or "")


def test_a_directory_that_cannot_be_written_is_named(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    error = error_of(invoke("report", runs[0], "--out", tmp_path / "out"))
    assert isinstance(error, RecordError)
    assert "report.md" in str(error)


def test_compare_prints_the_comparison(runs: tuple[Path, Path]) -> None:
    assert "By the exact McNemar test, two-sided: p = 1.000." in invoke("compare", *runs).stdout
    assert json.loads(invoke("compare", *runs, "--format", "json").stdout)["first_better"] == [IDS[1]]


def test_view_writes_a_page_beside_the_events_and_prints_its_path(runs: tuple[Path, Path]) -> None:
    printed = invoke("view", runs[0], IDS[0]).stdout
    assert printed == f"{runs[0] / 'attempts' / IDS[0] / '1' / 'trajectory.html'}\n"
    assert "Step 1" in Path(printed.strip()).read_text(encoding="utf-8")


@pytest.mark.parametrize(("directory", "instance_id"), [("one", "--help"), ("-one", "--attempt"), ("-o ne", "a b")])
def test_the_commands_that_a_report_shows_work_as_they_are(tmp_path: Path, directory: str, instance_id: str) -> None:
    write_run(tmp_path / directory, [attempt(instance_id, resolved=True)], [instance_id])
    commands = ("    patchwright eval report ", "    patchwright eval view ")
    with chdir(tmp_path):
        shown = invoke("report", "--", directory).stdout
        again, page = (shlex.split(line)[2:] for line in shown.splitlines() if line.startswith(commands))
        assert invoke(*again).stdout.startswith("# Evaluation report\n")
        assert invoke(*page).stdout == f"{directory}/attempts/{instance_id}/1/trajectory.html\n"


def test_view_opens_a_file_of_events(runs: tuple[Path, Path], tmp_path: Path) -> None:
    events = runs[0] / "attempts" / IDS[0] / "1" / "events.jsonl"
    assert invoke("view", events, "--out", tmp_path / "page.html").stdout == f"{tmp_path / 'page.html'}\n"
    assert "Step 1" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["a__b-3"], [], ["a__b-1", "--attempt", "2"]])
def test_view_says_what_there_is_when_there_is_no_such_attempt(runs: tuple[Path, Path], arguments: list[str]) -> None:
    assert isinstance(error_of(invoke("view", runs[0], *arguments)), ConfigError)


def test_an_instance_that_is_nearly_right_is_suggested(runs: tuple[Path, Path]) -> None:
    assert "a__b-2" in (error_of(invoke("view", runs[0], "b-2")).hint or "")


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    assert "run.json" in str(error_of(invoke("report", tmp_path)))
    assert "nothing.jsonl" in str(error_of(invoke("view", tmp_path / "nothing.jsonl")))


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x89PNG", b'{"instance_id": "a__b-1"}', b"\n"])
def test_a_file_that_holds_no_event_is_named_and_has_no_page(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bin.jsonl").write_bytes(content)
    error = error_of(invoke("view", tmp_path / "bin.jsonl"))
    assert isinstance(error, RecordError)
    assert str(error).startswith(f"{tmp_path}/bin.jsonl:")
    assert ("the file is empty" in str(error)) == (content == b"")
    assert [path.name for path in tmp_path.iterdir()] == ["bin.jsonl"]


def test_events_that_a_kill_cut_off_are_viewed_up_to_there(runs: tuple[Path, Path]) -> None:
    events = runs[0] / "attempts" / IDS[0] / "1" / "events.jsonl"
    with events.open("a") as file:
        file.write('{"kind":"text_arr')
    assert "Step 1" in Path(invoke("view", events).stdout.strip()).read_text(encoding="utf-8")


def test_an_attempt_that_has_not_begun_is_not_begun_by_viewing_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [], IDS)
    assert "has not begun" in str(error_of(invoke("view", run.path, IDS[0])))
    assert not (run.path / "attempts").exists()
