"""A run's directory: one runner, one run."""

import json
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError, ConfigError, RecordError
from patchwright.evals.run.directory import RunDirectory
from tests.evals.scripted import ScriptedBenchmark, ScriptedScaffold, facts_of, run_all

FACTS = facts_of(ScriptedBenchmark(2))


def test_two_runners_at_once_are_refused(tmp_path: Path) -> None:
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    with first.open(FACTS), pytest.raises(ConfigError, match="another runner is at work"), second.open(FACTS):
        pass
    with second.open(FACTS):
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "other"}, "its model is m, not other"),
        ({"time_limit_s": 61.0}, "its time_limit_s is 60.0, not 61.0"),
        ({"instance_ids": ("s__0",)}, "its instance_ids are others"),
    ],
)
def test_a_directory_of_another_run_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with RunDirectory(tmp_path / "run").open(FACTS):
        pass
    other = FACTS.model_copy(update=change)
    with pytest.raises(ConfigError, match=words), RunDirectory(tmp_path / "run").open(other):
        pass


def test_a_run_may_move_to_another_directory_and_machine(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run").open(FACTS):
        pass
    (tmp_path / "run").rename(tmp_path / "moved")
    with RunDirectory(tmp_path / "moved").open(FACTS.model_copy(update={"name": "moved", "machine": "other"})):
        pass


@pytest.mark.parametrize("there", ["work/notes.txt", "setup.py"])
def test_a_directory_of_something_else_is_left_alone(tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")
    with pytest.raises(ConfigError, match="is no run's directory"), RunDirectory(tmp_path).open(FACTS):
        pass
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(there).name]


def test_what_a_runner_left_that_died_writing_its_facts_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".run.json.new").write_text('{"version": 1, "na')
    with RunDirectory(tmp_path).open(FACTS):
        pass
    assert RunDirectory(tmp_path).facts() == FACTS


def test_two_instances_of_one_id_are_refused(tmp_path: Path) -> None:
    facts = FACTS.model_copy(update={"instance_ids": ("a", "b", "a")})
    with pytest.raises(BenchmarkError, match="two instances are called a"), RunDirectory(tmp_path).open(facts):
        pass


@pytest.mark.parametrize("name", ["../up", ".hidden", "a/b", "", "a b", "a" * 201])
def test_an_id_that_is_no_name_for_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    facts = FACTS.model_copy(update={"instance_ids": (name,)})
    with pytest.raises(BenchmarkError, match="cannot be the name"), RunDirectory(tmp_path / "run").open(facts):
        pass


def test_facts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RecordError, match=r"run\.json"), RunDirectory(tmp_path).open(FACTS):
        pass


def test_a_place_that_cannot_be_written_to_is_a_clear_word(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="not a directory"), RunDirectory(tmp_path / "file").open(FACTS):
        pass


@pytest.mark.filterwarnings("ignore")  # swebench's imports
async def test_predictions_are_written_as_the_official_harness_takes_them(tmp_path: Path) -> None:
    from swebench.harness.utils import get_predictions_from_file

    benchmark = ScriptedBenchmark(3)
    await run_all(tmp_path / "run", benchmark, ScriptedScaffold(moves={"s__1": "wrong"}))
    taken = get_predictions_from_file(str(tmp_path / "run" / "predictions.jsonl"), "none", "test")
    assert [(each["instance_id"], each["model_patch"]) for each in taken] == [
        ("s__0", "right"),
        ("s__1", "wrong"),
        ("s__2", "right"),
    ]
    assert {each["model_name_or_path"] for each in taken} == {"m-scripted"}
    await run_all(tmp_path / "bad", benchmark, ScriptedScaffold(moves={"s__0": "error", "s__1": "no grade"}))
    lines = (tmp_path / "bad" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["model_patch"] for line in lines] == ["", "no grade", "right"]
    await run_all(tmp_path / "twice", benchmark, ScriptedScaffold(), attempts=2)
    for number in (1, 2):
        lines = (tmp_path / "twice" / f"predictions-{number}.jsonl").read_text().splitlines()
        assert [json.loads(line)["instance_id"] for line in lines] == ["s__0", "s__1", "s__2"]
