"""A run's directory is read while the run goes on, and what is broken in it is named."""

import re
from pathlib import Path

import pytest

from patchwright.errors import RecordError
from patchwright.evals.report.event_file import read_events
from patchwright.evals.report.recorded_run import RecordedRun
from patchwright.schema.events import StepStarted, TextArrived
from patchwright.schema.trajectory import Header, Trajectory, dumps

from .runs import attempt, write_attempt, write_events, write_run


def test_an_attempt_that_is_not_over_is_none(tmp_path: Path) -> None:
    first = attempt("a__b-1", resolved=True)
    run = write_run(tmp_path / "one", [first], ["a__b-1", "a__b-2"], each=2)
    assert list(run.attempts_at("a__b-1")) == [first, None]
    assert list(run.attempts_at("a__b-2")) == [None, None]


def test_events_are_read_up_to_a_line_that_is_being_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [], ["a__b-1"])
    directory = run.directory_of("a__b-1", 1)
    directory.mkdir(parents=True)
    write_events(directory / "events.jsonl", [StepStarted(step=1, prompt_tokens=3)])
    with (directory / "events.jsonl").open("a") as file:
        file.write('{"kind":"text_arr')
    assert list(run.events("a__b-1", 1)) == [StepStarted(step=1, prompt_tokens=3)]


def test_an_attempt_of_another_scaffold_has_no_events(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [attempt("a__b-1", resolved=True)], ["a__b-1"])
    assert not run.has_events("a__b-1", 1)
    assert list(run.events("a__b-1", 1)) == []


def test_an_exported_session_is_read_without_its_header(tmp_path: Path) -> None:
    events = (StepStarted(step=1, prompt_tokens=3), TextArrived(text="\u2028"))
    header = Header(id="s1", created="2026-01-01T00:00:00Z", patchwright="0.1.0")
    path = tmp_path / "session.jsonl"
    path.write_text(dumps(Trajectory(header=header, events=events)), encoding="utf-8")
    assert tuple(read_events(path)) == events


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"kind":"text_arrived","text":"a"}\n{"kind":"unheard_of"}\n')
    with pytest.raises(RecordError, match=r"events\.jsonl:2: "):
        list(read_events(path))


@pytest.mark.parametrize("text", ["", '{"kind":"text_arr'])
def test_an_attempt_may_have_no_event_yet_but_a_file_that_is_named_alone_has_one(tmp_path: Path, text: str) -> None:
    run = write_run(tmp_path / "one", [], ["a__b-1"])
    path = run.directory_of("a__b-1", 1) / "events.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert list(run.events("a__b-1", 1)) == []
    with pytest.raises(RecordError, match=r"events\.jsonl:1: invalid json" if text else r"events\.jsonl: .* is empty"):
        list(read_events(path))


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', '{"version": 1, "colour": "red"}', "\xff"])
def test_a_damaged_attempt_is_named(tmp_path: Path, text: str) -> None:
    run = write_run(tmp_path / "one", [attempt("a__b-1", resolved=True)], ["a__b-1"])
    (run.directory_of("a__b-1", 1) / "attempt.json").write_text(text, encoding="latin-1")
    with pytest.raises(RecordError, match=r"attempt\.json: "):
        list(run.attempts_at("a__b-1"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1e308", "-1"])
@pytest.mark.parametrize("field", ["seconds", "steps", "tries", "grade.duration_s"])
def test_an_attempt_whose_figures_nothing_can_measure_is_named(tmp_path: Path, field: str, number: str) -> None:
    run = write_run(tmp_path / "one", [attempt("a__b-1", resolved=True)], ["a__b-1"])
    path = run.directory_of("a__b-1", 1) / "attempt.json"
    name = field.rpartition(".")[2]
    path.write_text(re.sub(rf'"{name}":[\d.]+', f'"{name}":{number}', path.read_text()))
    with pytest.raises(RecordError, match=rf"attempt\.json: {re.escape(field)}: "):
        list(run.attempts_at("a__b-1"))


def test_an_attempt_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [], ["a__b-1"])
    directory = write_attempt(run.path, attempt("a__b-2", resolved=True))
    directory.parent.rename(directory.parent.with_name("a__b-1"))
    with pytest.raises(RecordError, match="this is attempt 1 at a__b-2"):
        list(run.attempts_at("a__b-1"))


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"run\.json: no such file") as caught:
        RecordedRun(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("instance_id", ["../../secrets", "..", "", "a/b", "a" * 256, "ä" * 128])
def test_an_id_is_the_name_of_a_directory_within_the_run(tmp_path: Path, instance_id: str) -> None:
    run = write_run(tmp_path / "one", [], [instance_id])
    with pytest.raises(RecordError, match="cannot be an instance id"):
        list(run.attempts_at(instance_id))


def test_an_instance_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="named twice"):
        write_run(tmp_path / "one", [], ["a__b-1", "a__b-1"])
