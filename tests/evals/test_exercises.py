"""Benchmarks of small programs, from checkouts that look like the real ones, graded in a real sandbox."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError, RecordError
from patchwright.evals.exercises import Exercises, check_pytest
from patchwright.evals.exercism import exercism, polyglot
from patchwright.evals.humanevalfix import humanevalfix
from patchwright.evals.quixbugs import quixbugs
from patchwright.evals.registry import Places, benchmark_named
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Grade, Prediction
from tests.conftest import git
from tests.evals.lookalikes import CONFTEST, HUMANEVALFIX_ROW, exercism_checkout, humanevalfix_file, quixbugs_checkout

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

MAKERS: dict[str, Callable[[Path], Exercises]] = {
    "quixbugs": lambda place: quixbugs(quixbugs_checkout(place / "quixbugs"), PATH),
    "humanevalfix": lambda place: humanevalfix(humanevalfix_file(place / "rows.jsonl"), PATH),
    "exercism": lambda place: exercism(exercism_checkout(place / "track"), PATH),
    "polyglot": lambda place: polyglot(exercism_checkout(place / "polyglot", "python/exercises/practice"), PATH),
}


@pytest.fixture(params=MAKERS)
def benchmark(request: pytest.FixtureRequest, tmp_path: Path) -> Exercises:
    return MAKERS[request.param](tmp_path)


async def grade(benchmark: Exercises, patch: str, directory: Path) -> Grade:
    (instance,) = benchmark.instances()
    directory.mkdir()
    prediction = Prediction(instance_id=instance.instance_id, model_name_or_path="m", model_patch=patch)
    return await benchmark.grade(instance, prediction, directory)


async def test_the_gold_patch_resolves_and_the_base_does_not(benchmark: Exercises, tmp_path: Path) -> None:
    (instance,) = benchmark.instances()
    assert (await grade(benchmark, instance.patch, tmp_path / "gold")).resolved
    base = await grade(benchmark, "", tmp_path / "base")
    assert (base.resolved, base.problem) == (False, "")
    assert " failed in " in (tmp_path / "base" / "grading.log").read_text()


async def test_it_is_graded_in_the_users_sandbox(tmp_path: Path) -> None:
    made = quixbugs_checkout(tmp_path / "quixbugs")
    (made / "conftest.py").write_text(f"import os\n\n{CONFTEST}    assert os.environ.get('LICENCE') == 'ours'\n")
    settings = SandboxSettings(environment={"LICENCE": "ours"})
    benchmark = benchmark_named(f"quixbugs:{made}", Places(PATH, tmp_path / "data", None, settings))
    assert isinstance(benchmark, Exercises)
    (instance,) = benchmark.instances()
    assert (await grade(benchmark, instance.patch, tmp_path / "with")).resolved
    without = replace(benchmark, settings=SandboxSettings())
    assert not (await grade(without, instance.patch, tmp_path / "without")).resolved


async def test_the_work_tree_has_one_commit_and_none_of_the_answers(benchmark: Exercises, tmp_path: Path) -> None:
    (instance,) = benchmark.instances()
    workspace = await benchmark.prepare(instance, tmp_path)
    assert git(workspace.tree, "rev-list", "--count", "HEAD").strip() == "1"
    assert git(workspace.tree, "status", "--porcelain") == ""
    assert workspace.hidden
    assert not list(workspace.tree.rglob("*example*"))
    git(workspace.tree, "apply", "--check", str(_written(tmp_path / "gold.patch", instance.patch)))
    assert "_double.py" in (workspace.test_command or "") or "double_test.py" in (workspace.test_command or "")


@pytest.mark.parametrize(("name", "place"), [("exercism", "track"), ("polyglot", "polyglot"), ("quixbugs", "quixbugs")])
def test_all_of_a_checkout_is_hidden_with_its_history(tmp_path: Path, name: str, place: str) -> None:
    assert MAKERS[name](tmp_path).hidden == (tmp_path / place,)


def test_a_file_is_hidden_with_the_git_checkout_that_it_lies_in(tmp_path: Path) -> None:
    file = humanevalfix_file(_made(tmp_path / "checkout" / "data") / "rows.jsonl")
    assert humanevalfix(file, PATH).hidden == (file,)
    git(tmp_path, "init", "--quiet", "checkout")
    assert humanevalfix(file, PATH).hidden == (file, tmp_path / "checkout")


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def test_a_prediction_cannot_change_the_tests(tmp_path: Path) -> None:
    benchmark = MAKERS["quixbugs"](tmp_path)
    (instance,) = benchmark.instances()
    workspace = await benchmark.prepare(instance, tmp_path / "work")
    (workspace.tree / "python_testcases" / "test_double.py").write_text("def test_double():\n    pass\n")
    (workspace.tree / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    git(workspace.tree, "add", "--all")
    grade_ = await grade(benchmark, git(workspace.tree, "diff", "--cached"), tmp_path / "grading")
    assert not grade_.resolved


async def test_a_solution_that_is_removed_or_a_symlink_is_wrong(tmp_path: Path) -> None:
    benchmark = MAKERS["quixbugs"](tmp_path)
    (instance,) = benchmark.instances()
    workspace = await benchmark.prepare(instance, tmp_path / "work")
    source = workspace.tree / "python_programs" / "double.py"
    source.unlink()
    source.symlink_to(tmp_path / "quixbugs" / "correct_python_programs" / "double.py")
    git(workspace.tree, "add", "--all")
    assert not (await grade(benchmark, git(workspace.tree, "diff", "--cached"), tmp_path / "grading")).resolved


async def test_a_directory_that_became_a_symlink_is_wrong(tmp_path: Path) -> None:
    benchmark = MAKERS["quixbugs"](tmp_path)
    (instance,) = benchmark.instances()
    workspace = await benchmark.prepare(instance, tmp_path / "work")
    shutil.rmtree(workspace.tree / "python_programs")
    (workspace.tree / "python_programs").symlink_to(tmp_path / "quixbugs" / "correct_python_programs")
    git(workspace.tree, "add", "--all")
    assert not (await grade(benchmark, git(workspace.tree, "diff", "--cached"), tmp_path / "grading")).resolved


async def test_a_gold_patch_applies_to_lines_as_git_has_them(tmp_path: Path) -> None:
    row = HUMANEVALFIX_ROW | {"declaration": f"#\x0c form feed, \u2028, \x85\n{HUMANEVALFIX_ROW['declaration']}"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    benchmark = humanevalfix(tmp_path / "rows.jsonl", PATH)
    assert (await grade(benchmark, benchmark.instances()[0].patch, tmp_path / "gold")).resolved


def test_what_a_symlink_of_a_checkout_leads_out_to_is_not_read(tmp_path: Path) -> None:
    secret = _written(tmp_path / "secret", "secret")
    track = exercism_checkout(tmp_path / "track")
    (track / "exercises" / "practice" / "double" / "double.py").unlink()
    (track / "exercises" / "practice" / "double" / "double.py").symlink_to(secret)
    with pytest.raises(BenchmarkError, match=r"double\.py leads out of "):
        exercism(track, PATH)


def test_a_pipe_in_a_checkout_is_no_file(tmp_path: Path) -> None:
    track = exercism_checkout(tmp_path / "track")
    os.mkfifo(track / "exercises" / "practice" / "double" / "pipe.py")
    with pytest.raises(BenchmarkError, match=r"pipe\.py is no file"):
        exercism(track, PATH)


@pytest.mark.parametrize(
    ("place", "revision"), [("work", ""), ("work", "@main"), ("work", "@topic/it"), ("me@work", "@HEAD")]
)
def test_the_repository_that_a_file_url_names_is_hidden(tmp_path: Path, place: str, revision: str) -> None:
    origin = quixbugs_checkout(_made(tmp_path / place) / "origin")
    for command in (("init", "--quiet", "--initial-branch=main"), ("add", "."), ("commit", "--quiet", "-m", "all")):
        git(origin, *command)
    git(origin, "branch", "topic/it")
    places = Places(PATH, tmp_path / "data", None, SandboxSettings())
    benchmark = benchmark_named(f"quixbugs:file://{origin}{revision}", places)
    assert isinstance(benchmark, Exercises)
    assert origin in benchmark.hidden


@pytest.mark.parametrize("leaving", ["import os; os._exit(0)", "import sys; sys.exit(0)"])
@pytest.mark.parametrize("where", ["module", "function"])
async def test_a_solution_that_leaves_before_its_tests_are_over_is_wrong(
    tmp_path: Path, leaving: str, where: str
) -> None:
    benchmark = MAKERS["quixbugs"](tmp_path)
    (instance,) = benchmark.instances()
    workspace = await benchmark.prepare(instance, tmp_path / "work")
    source = workspace.tree / "python_programs" / "double.py"
    source.write_text(f"{leaving}\n" if where == "module" else f"def double(x):\n    {leaving}\n")
    grade_ = await grade(benchmark, git(workspace.tree, "diff"), tmp_path / "grading")
    assert (grade_.resolved, grade_.problem) == (False, "")


async def test_a_patch_that_does_not_apply_is_a_problem(benchmark: Exercises, tmp_path: Path) -> None:
    patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    found = await grade(benchmark, patch, tmp_path / "grading")
    assert (found.resolved, "does not apply" in found.problem) == (False, True)


async def test_a_python_without_pytest_is_found_before_anything_runs(tmp_path: Path) -> None:
    await check_pytest(PATH)
    (tmp_path / "python").symlink_to("/bin/false")
    with pytest.raises(BenchmarkError, match="no pytest"):
        await check_pytest(f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize("maker", [quixbugs, exercism, polyglot])
def test_a_directory_of_something_else_is_a_clear_word(tmp_path: Path, maker: Callable[[Path, str], Exercises]) -> None:
    with pytest.raises(BenchmarkError, match=r"holds no (exercises|python_testcases)"):
        maker(tmp_path, PATH)


def test_a_row_that_is_no_row_is_named_with_its_line(tmp_path: Path) -> None:
    for text, words in (('{"task_id": "Python/0"}', "entry_point: field required"), ("{", "invalid json")):
        (tmp_path / "rows.jsonl").write_text(text)
        with pytest.raises(RecordError, match=rf"rows\.jsonl:1: {words}"):
            humanevalfix(tmp_path / "rows.jsonl", PATH)


@pytest.mark.parametrize("name", ["/etc/hostname", "../../../../secret.py", ".git/config", "a/.GIT/x", "a\0b"])
def test_an_exercise_of_files_outside_of_it_is_refused(tmp_path: Path, name: str) -> None:
    config = exercism_checkout(tmp_path / "track") / "exercises" / "practice" / "double" / ".meta" / "config.json"
    config.write_text(config.read_text().replace('"double.py"', json.dumps(name)))
    with pytest.raises(BenchmarkError, match=r"leads out of the exercise|cannot be a file of an exercise"):
        exercism(tmp_path / "track", PATH)


def test_a_row_whose_function_is_a_path_is_refused(tmp_path: Path) -> None:
    file = humanevalfix_file(tmp_path / "rows.jsonl")
    file.write_text(file.read_text().replace('"entry_point": "double"', '"entry_point": "../double"'))
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: entry_point: string should match"):
        humanevalfix(file, PATH)
