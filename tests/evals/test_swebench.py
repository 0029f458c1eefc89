"""Grading with swebench's own grader: gold, base, and all that a prediction can be wrong with."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError, RecordError, RepositoryError, ToolError
from patchwright.evals.environments import Environments
from patchwright.evals.grading import official_report
from patchwright.evals.rows import rows_hash
from patchwright.evals.scaffolds.patchwright import sandboxed
from patchwright.evals.swebench import SweBench
from patchwright.evals.trees import Trees, commit_all
from patchwright.evals.validation import Validation, append_validation, read_validations, validated
from patchwright.lock import locked_within, try_lock
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Grade, Instance, Prediction
from tests.conftest import git
from tests.evals.adder import BUGGY, GOLD, make_mirror, make_row, write_rows
from tests.evals.scripted import ScriptedBenchmark

pytestmark = pytest.mark.filterwarnings("ignore")  # swebench's imports

LAY_OUT = """
import asyncio
import sys
from pathlib import Path

from patchwright.evals.trees import Trees
from patchwright.schema.instance import Instance

directory = Path(sys.argv[1])
instance = Instance(instance_id="a", repo="ada/b", base_commit="f" * 40, problem_statement="", patch="")
asyncio.run(Trees(directory / "cache", url=sys.argv[2]).lay_out(instance, directory / "tree"))
"""


@pytest.fixture
def benchmark(tmp_path: Path) -> SweBench:
    base = make_mirror(tmp_path / "repos")
    rows = write_rows(tmp_path / "adders.jsonl", make_row(base))
    return benchmark_of(tmp_path, rows)


def benchmark_of(tmp_path: Path, rows: Path, test_timeout_s: float = 60) -> SweBench:
    trees = Trees(tmp_path / "cache", repos=tmp_path / "repos", url=None)
    environments = Environments(tmp_path / "environments", path=os.defpath)
    return SweBench(str(rows), trees, environments, sandbox=SandboxSettings(), test_timeout_s=test_timeout_s)


def prediction(patch: str) -> Prediction:
    return Prediction(instance_id="ada__adder-1", model_name_or_path="some/model", model_patch=patch)


async def grade(benchmark: SweBench, patch: str, directory: Path) -> Grade:
    directory.mkdir()
    (instance,) = benchmark.instances()
    found = await benchmark.grade(instance, prediction(patch), directory)
    return found.model_copy(update={"duration_s": 0.0})


async def test_a_work_tree_has_one_commit_and_nothing_of_the_future(benchmark: SweBench, tmp_path: Path) -> None:
    (instance,) = benchmark.instances()
    first = await benchmark.prepare(instance, tmp_path / "first")
    second = await benchmark.prepare(instance, tmp_path / "second")
    assert git(first.tree, "log", "--all", "--format=%s").splitlines() == ["Start"]
    assert git(first.tree, "status", "--porcelain") == ""
    assert git(first.tree, "rev-parse", "HEAD") == git(second.tree, "rev-parse", "HEAD")
    assert sorted(git(first.tree, "ls-files").split()) == [".gitignore", "adder.py", "check_adder.py", "kept.log"]
    assert "test_add" not in (first.tree / "check_adder.py").read_text()
    assert first.test_command is None


async def test_gold_is_resolved_and_base_is_not(benchmark: SweBench, tmp_path: Path) -> None:
    (instance,) = benchmark.instances()
    validation = await validated(benchmark, instance, tmp_path / "work")
    assert validation.gradable, validation
    assert validation.gold is not None
    assert validation.gold.fail_to_pass == ("check_adder.py::test_add",)
    assert validation.base is not None
    assert (validation.base.fail_to_pass, validation.base.pass_to_pass_broken) == ((), ())


async def test_tests_that_a_prediction_changes_are_put_back(benchmark: SweBench, tmp_path: Path) -> None:
    cheating = (
        "diff --git a/check_adder.py b/check_adder.py\n--- a/check_adder.py\n+++ b/check_adder.py\n"
        "@@ -1,4 +1,5 @@\n import sys\n+print('PASSED check_adder.py::test_add')\n \n import adder\n \n"
    )
    found = await grade(benchmark, cheating, tmp_path / "work")
    assert found == Grade(instance_id="ada__adder-1", resolved=False)


async def test_what_breaks_a_test_that_passed_is_named(benchmark: SweBench, tmp_path: Path) -> None:
    breaking = GOLD.replace("@@ -1,5 +1,5 @@", "@@ -1,6 +1,6 @@") + "-    return (a > 0) - (a < 0)\n+    return 0\n"
    found = await grade(benchmark, breaking, tmp_path / "work")
    assert found == Grade(
        instance_id="ada__adder-1",
        resolved=False,
        fail_to_pass=("check_adder.py::test_add",),
        pass_to_pass_broken=("check_adder.py::test_sign",),
    )


async def test_a_patch_with_shifted_context_applies_as_it_does_officially(benchmark: SweBench, tmp_path: Path) -> None:
    shifted = GOLD.replace(" def sign(a):", " def sign(x):")
    assert (await grade(benchmark, shifted, tmp_path / "work")).resolved


async def test_a_patch_that_is_empty_or_does_not_apply_is_a_grade(benchmark: SweBench, tmp_path: Path) -> None:
    empty = await grade(benchmark, "\n", tmp_path / "empty")
    assert not empty.resolved
    assert (empty.fail_to_pass, empty.problem) == ((), "")
    unfit = await grade(benchmark, GOLD.replace("adder.py", "other.py"), tmp_path / "unfit")
    assert not unfit.resolved
    assert unfit.problem.startswith("the patch does not apply: ")


async def test_tests_that_hang_or_say_nothing_are_a_grade(benchmark: SweBench, tmp_path: Path) -> None:
    (instance,) = benchmark.instances()
    for name, command, limit_s, problem in (
        ("hangs", "sleep 60", 1.0, "the tests took more than 1 s"),
        ("silent", "true", 60.0, "the log says nothing about the tests"),
    ):
        row = make_row(instance.base_commit, install_config={**make_row("")["install_config"], "test_cmd": command})
        rows = write_rows(tmp_path / f"{name}.jsonl", row)
        found = await grade(benchmark_of(tmp_path, rows, limit_s), GOLD, tmp_path / name)
        assert not found.resolved
        assert found.problem.startswith(problem)


async def test_a_log_that_is_not_utf_8_is_graded_as_it_is_officially(benchmark: SweBench, tmp_path: Path) -> None:
    (instance,) = benchmark.instances()
    config = {**make_row("")["install_config"], "test_cmd": r"printf 'caf\351\n'; python check_adder.py"}
    rows = write_rows(tmp_path / "latin.jsonl", make_row(instance.base_commit, install_config=config))
    assert (await grade(benchmark_of(tmp_path, rows), GOLD, tmp_path / "work")).resolved
    assert "caf\ufffd\n" in (tmp_path / "work" / "grading.log").read_text(encoding="utf-8")


async def test_the_official_report_is_written_for_a_set(benchmark: SweBench, tmp_path: Path) -> None:
    assert (await grade(benchmark, GOLD, tmp_path / "work")).resolved
    (instance,) = benchmark.instances()
    other = instance.model_copy(update={"instance_id": "ada__adder-2"})
    predictions = [prediction(GOLD), prediction("").model_copy(update={"instance_id": "ada__adder-2"})]
    reports = {instance.instance_id: tmp_path / "work" / "report.json"}
    report = json.loads(official_report([instance, other], predictions, reports, run_id="night"))
    assert report["resolved_ids"] == ["ada__adder-1"]
    assert report["empty_patch_ids"] == ["ada__adder-2"]
    assert report["total_instances"] == 2


async def test_a_missing_repository_a_missing_recipe_and_a_missing_script_are_errors(
    benchmark: SweBench, tmp_path: Path
) -> None:
    (instance,) = benchmark.instances()
    for changes, sentence in (
        ({"base_commit": "f" * 40}, "there is no repository ada/adder with commit ffffffffffff in "),
        ({"install_config": None}, "nothing says how an environment for ada/adder 1.0 is made"),
        ({"eval_script": ""}, "neither an eval_script nor a test_cmd"),
        ({"log_parser": "parse_log_ada"}, "swebench has no log parser 'parse_log_ada'"),
    ):
        changed = instance.model_copy(update=changes)
        with pytest.raises(BenchmarkError, match=sentence):
            await benchmark.grade(changed, prediction(GOLD), tmp_path / "work")
        validation = await validated(benchmark, changed, tmp_path / next(iter(changes)))
        assert sentence in validation.why_not


async def test_the_tree_of_smith_has_the_bug(tmp_path: Path) -> None:
    make_mirror(tmp_path / "repos")
    mended = git(tmp_path / "repos" / "ada__adder", "rev-parse", "HEAD").strip()
    instance = Instance(
        instance_id="smith-1",
        repo=f"swesmith/ada__adder.{mended[:8]}",
        base_commit=mended[:8],
        problem_statement="",
        patch=GOLD,
    )
    trees = Trees(tmp_path / "cache", repos=tmp_path / "repos", url=None)
    await trees.lay_out(instance, tmp_path / "tree")
    await commit_all(tmp_path / "tree")
    assert (tmp_path / "tree" / "adder.py").read_text() == BUGGY


async def test_mirrors_are_found_by_every_layout(tmp_path: Path) -> None:
    base = make_mirror(tmp_path / "made")
    instance = Instance(instance_id="a", repo="ada/adder", base_commit=base, problem_statement="", patch=GOLD)
    layouts = ("ada__adder", "ada/adder", "ada+adder/repo", "adder", "adder.git", "grace+adder/repo", "grace__adder")
    for number, layout in enumerate(layouts):
        repos = tmp_path / f"{number}"
        (repos / layout).parent.mkdir(parents=True)
        git(tmp_path, "clone", "--quiet", *(["--bare"] if number % 2 else []), "made/ada__adder", str(repos / layout))
        await Trees(tmp_path / "cache", repos=repos, url=None).lay_out(instance, tmp_path / f"tree-{number}")
        assert (tmp_path / f"tree-{number}" / "adder.py").read_text() == BUGGY


async def test_a_linked_work_tree_is_a_mirror_and_hidden_where_it_leads_to(tmp_path: Path) -> None:
    base = make_mirror(tmp_path / "made")
    repos = tmp_path / "repos"
    repos.mkdir()
    git(tmp_path / "made" / "ada__adder", "worktree", "add", "--quiet", "--detach", str(repos / "adder"))
    (repos / "broken").mkdir()
    (repos / "broken" / ".git").write_text("gitdir: /no/where\n")
    made = Instance(instance_id="a", repo="ada/adder", base_commit=base, problem_statement="", patch="")
    trees = Trees(tmp_path / "cache", repos=repos, url=None)
    await trees.lay_out(made, tmp_path / "tree")
    assert (tmp_path / "tree" / "adder.py").read_text() == BUGGY
    assert trees.sources[-2:] == (repos, tmp_path / "made" / "ada__adder")
    with pytest.raises(BenchmarkError, match="there is no repository ada/broken with commit"):
        await trees.lay_out(made.model_copy(update={"repo": "ada/broken"}), tmp_path / "nothing")


async def test_reading_a_mirror_runs_none_of_its_programs(tmp_path: Path) -> None:
    make_mirror(tmp_path / "repos")
    mirror, mark = tmp_path / "repos" / "ada__adder", tmp_path / "mark"
    (mirror / ".gitattributes").write_text("*.py filter=own\n")
    git(mirror, "add", ".gitattributes")
    git(mirror, "commit", "--quiet", "--message=filtered")
    head = git(mirror, "rev-parse", "HEAD").strip()
    git(mirror, "config", "filter.own.smudge", f"touch {mark}; cat")
    git(mirror, "config", "remote.origin.url", f"ext::touch {mark}")
    git(mirror, "config", "remote.origin.promisor", "true")
    git(mirror, "config", "protocol.ext.allow", "always")
    made = Instance(instance_id="a", repo="ada/adder", base_commit=head, problem_statement="", patch="")
    trees = Trees(tmp_path / "cache", repos=tmp_path / "repos", url=None)
    await trees.lay_out(made, tmp_path / "tree")
    assert (tmp_path / "tree" / "adder.py").read_text() == git(mirror, "show", "HEAD:adder.py")
    with pytest.raises(BenchmarkError, match="there is no repository ada/adder with commit ffffffffffff"):
        await trees.lay_out(made.model_copy(update={"base_commit": "f" * 40}), tmp_path / "nothing")
    assert not mark.exists()


@pytest.mark.parametrize(
    "place", ["../evil", "ada/../../evil", "ada/..", "..", ".", "", "ada/", "/evil", "evil\n", "HERE/evil"]
)
async def test_a_repository_is_looked_for_in_the_directory_of_mirrors_alone(tmp_path: Path, place: str) -> None:
    base = make_mirror(tmp_path)
    (tmp_path / "ada__adder").rename(tmp_path / "evil")
    (tmp_path / "repos").mkdir()
    repo = place.replace("HERE", str(tmp_path))
    instance = Instance(instance_id="a", repo=repo, base_commit=base, problem_statement="", patch="")
    trees = Trees(tmp_path / "cache", repos=tmp_path / "repos", url=f"file://{tmp_path}/{{repo}}")
    with pytest.raises(BenchmarkError, match="is no name of a repository") as caught:
        await trees.lay_out(instance, tmp_path / "tree")
    assert str(caught.value).isprintable()


async def test_a_repository_is_cloned_where_no_mirror_has_it(tmp_path: Path) -> None:
    base = make_mirror(tmp_path / "remote" / "ada")
    git(tmp_path / "remote" / "ada" / "ada__adder", "config", "uploadpack.allowAnySHA1InWant", "true")
    instance = Instance(instance_id="a", repo="ada/ada__adder", base_commit=base, problem_statement="", patch=GOLD)
    trees = Trees(tmp_path / "cache", url=f"file://{tmp_path}/remote/{{repo}}")
    await trees.lay_out(instance, tmp_path / "tree")
    assert (tmp_path / "tree" / "adder.py").read_text() == BUGGY


async def test_what_a_killed_fetch_left_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    make_mirror(tmp_path / "remote" / "ada")
    remote = tmp_path / "remote" / "ada" / "ada__adder"
    git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    head, base = git(remote, "rev-list", "HEAD").split()
    trees = Trees(tmp_path / "cache", url=f"file://{tmp_path}/remote/{{repo}}")
    made = Instance(instance_id="a", repo="ada/ada__adder", base_commit=head, problem_statement="", patch="")
    await trees.lay_out(made, tmp_path / "first")
    kept = tmp_path / "cache" / "repositories" / "ada__ada__adder"
    left = [kept / name for name in ("shallow.lock", "config.lock", "objects/pack/tmp_pack_7oLqXa")]
    for each in left:
        each.touch()
    await trees.lay_out(made.model_copy(update={"base_commit": base}), tmp_path / "second")
    assert [each for each in left if each.exists()] == []
    assert list(kept.glob("objects/??")) == []  # in packs alone, which are there as a whole or not at all


async def test_a_git_that_outlives_its_parent_keeps_others_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # never answers
        server.settimeout(60)
        url = f"git://127.0.0.1:{server.getsockname()[1]}/{{repo}}"
        with subprocess.Popen([sys.executable, "-c", LAY_OUT, str(tmp_path), url]) as process:
            connection, _ = server.accept()
            process.kill()
        lock = tmp_path / "cache" / "repositories" / "ada__b.lock"
        with try_lock(lock) as held:
            assert held is None
        connection.close()
        async with locked_within(lock, 20, TimeoutError()):
            pass


async def test_a_fetch_that_fails_says_what_git_complained_of_first(tmp_path: Path) -> None:
    instance = Instance(instance_id="a", repo="ada/b", base_commit="f" * 40, problem_statement="", patch="")
    with pytest.raises(BenchmarkError, match=r"cannot be fetched: .*'/nowhere/ada/b' does not appear to be a git repo"):
        await Trees(tmp_path / "cache", url="file:///nowhere/{repo}").lay_out(instance, tmp_path / "tree")


async def test_commits_of_one_repository_are_fetched_at_once(tmp_path: Path) -> None:
    make_mirror(tmp_path / "remote" / "ada")
    remote = tmp_path / "remote" / "ada" / "ada__adder"
    git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    for number in range(6):
        (remote / "number").write_bytes(os.urandom(1_000_000))
        git(remote, "add", "number")
        git(remote, "commit", "--quiet", f"--message={number}")
    commits = git(remote, "rev-list", "HEAD").split()
    trees = Trees(tmp_path / "cache", url=f"file://{tmp_path}/remote/{{repo}}")

    async def laid_out(commit: str) -> None:
        instance = Instance(instance_id="a", repo="ada/ada__adder", base_commit=commit, problem_statement="", patch="")
        await trees.lay_out(instance, tmp_path / commit)

    await asyncio.gather(*map(laid_out, commits))
    assert all((tmp_path / commit / "adder.py").is_file() for commit in commits)


async def test_a_work_tree_comes_without_a_view_of_the_solutions(benchmark: SweBench, tmp_path: Path) -> None:
    (instance,) = benchmark.instances()
    workspace = await benchmark.prepare(instance, tmp_path / "work")
    settings = sandboxed(SandboxSettings(), workspace)
    own = {tmp_path / "cache" / name for name in ("repositories", "sdists", "validated")}
    assert set(settings.hidden) == {tmp_path / "adders.jsonl", tmp_path / "repos", *own}


async def test_the_rows_of_a_dataset_are_hidden_with_the_caches_of_hugging_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_rows(tmp_path / "adders.jsonl", make_row(make_mirror(tmp_path / "repos")))
    (instance,) = benchmark_of(tmp_path, rows).instances()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    caches = {tmp_path / "hf" / "hub", tmp_path / "elsewhere"}
    for cache in caches:
        cache.mkdir(parents=True)
    workspace = await benchmark_of(tmp_path, Path("ada/adders")).prepare(instance, tmp_path / "work")
    assert caches <= set(workspace.hidden)
    assert tmp_path / "hf" not in workspace.hidden


@dataclass(frozen=True)
class FailingBenchmark(ScriptedBenchmark):
    error: Exception = field(kw_only=True)

    async def grade(self, instance: Instance, prediction: Prediction, directory: Path) -> Grade:
        raise self.error


async def test_what_fails_with_one_instance_is_said_of_it(tmp_path: Path) -> None:
    for error, words in (
        (ToolError("/tmp is full", hint="make room"), "/tmp is full (make room)"),
        (RepositoryError("git took too long"), "git took too long"),
        (OSError(28, "No space left on device", "/data/log"), "/data/log: no space left on device"),
        (KeyError("tests_status"), "KeyError: 'tests_status'"),
    ):
        benchmark = FailingBenchmark(1, error=error)
        validation = await validated(benchmark, benchmark.instances()[0], tmp_path / type(error).__name__)
        assert validation.why_not == words


def test_verdicts_outlive_an_interruption(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    instances = ScriptedBenchmark(2).instances()
    first, second = (verdict_on(each) for each in instances)
    append_validation(file, first)
    file.write_bytes(file.read_bytes() + second.model_dump_json().encode()[:60])
    assert list(read_validations(file, instances).values()) == [first]
    append_validation(file, second)
    assert list(read_validations(file, instances).values()) == [first, second]
    assert len(file.read_text().splitlines()) == 2


@pytest.mark.parametrize("text", ["one precious line", '{"instance_id":"a","row":"a whole one"}', "two\nlines\n"])
def test_a_file_of_something_else_is_refused_and_loses_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine"
    file.write_text(text)
    [instance] = ScriptedBenchmark(1).instances()
    with pytest.raises(RecordError, match="mine:1: "):
        read_validations(file, [instance])
    append_validation(file, verdict_on(instance))
    assert file.read_text().startswith(text)


def test_a_verdict_is_on_its_row_alone_and_not_on_another_of_that_id(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    [instance] = ScriptedBenchmark(1).instances()
    other = instance.model_copy(update={"eval_script": "pytest"})
    for each in (instance, other):
        append_validation(file, verdict_on(each))
        assert read_validations(file, [each]) == {each.instance_id: verdict_on(each)}
    assert read_validations(file, [instance]) == {instance.instance_id: verdict_on(instance)}
    assert read_validations(file, [instance.model_copy(update={"patch": ""})]) == {}


def verdict_on(instance: Instance) -> Validation:
    return Validation(instance_id=instance.instance_id, repo="a/b", version="1", row=rows_hash([instance]))
