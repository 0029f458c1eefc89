"""The forge for real: a small tested project, its environment, its tests, and swebench's grader on what is made."""

import os
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

import patchwright
from patchwright.errors import RecordError
from patchwright.evals.environments import Environments
from patchwright.evals.forge.mutations import KEY_CHARS, changed, mutations
from patchwright.evals.forge.recipe import read_recipe
from patchwright.evals.rows import read_rows
from patchwright.evals.swebench import SweBench
from patchwright.evals.trees import Trees
from patchwright.lock import try_lock
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import Prediction
from tests.evals.adder import make_row, write_rows

pytestmark = pytest.mark.filterwarnings("ignore")  # swebench's and swesmith's imports

SOURCE = '''"""Prices."""


def _rate(country, reduced):
    if country == "de":
        if reduced:
            return 7
        return 19
    elif country == "ch":
        return 8
    else:
        return 20


def _rounded(cents, step):
    rest = cents % step
    if rest * 2 >= step:
        cents = cents + step
    return cents - rest


def price(net, country, reduced=False, step=5):
    """What a customer pays, in cents."""
    total = 0
    for each in net:
        if each < 0:
            continue
        total = total + each * (100 + _rate(country, reduced)) // 100
    return _rounded(total, step)


def label(number):
    return f"no. {number}"
'''
TESTS = """import pytest

from prices import label, price


@pytest.mark.parametrize("number", range(20))
def test_label(number):
    assert label(number) == f"no. {number}"


def test_standard():
    assert price([100, 250], "de") == 415


def test_reduced():
    assert price([100], "de", reduced=True) == 105


def test_switzerland():
    assert price([1000], "ch") == 1080


def test_elsewhere():
    assert price([100], "fr", step=1) == 120


def test_returned_goods():
    assert price([100, -50], "fr") == 120


def test_rounding_up():
    assert price([103], "ch", step=10) == 110


def test_rounding_down():
    assert price([101], "fr", step=100) == 100


def test_nothing():
    assert price([], "de") == 0
"""
RECIPE = """
[[packages]]
name = "prices"
version = "1.0"
archive = "{archive}"
ids = {ids}
install = {{ python = "{python}", pip_packages = ["pytest==9.2.0"], test_cmd = "python -m pytest -rA" }}
"""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's version of the project is, no other test is to get."""
    monkeypatch.setenv("PATCHWRIGHT_DATA_DIR", str(tmp_path / "data"))


def sdist(directory: Path, tests: str = TESTS) -> Path:
    root = directory / "prices-1.0"
    (root / "tests").mkdir(parents=True)
    (root / "prices.py").write_text(SOURCE)
    (root / "tests" / "test_prices.py").write_text(tests)
    archive = directory / "prices-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(root, arcname="prices-1.0")
    return archive


def test_mutations_are_the_same_each_time_and_can_be_put_together(tmp_path: Path) -> None:
    sdist(tmp_path)
    tree = tmp_path / "prices-1.0"
    found = list(mutations(tree, ["prices.py"], seed=1))
    assert [each.key for each in found] == [each.key for each in mutations(tree, ["prices.py"], seed=1)]
    assert len({each.key for each in found}) == len(found)
    assert {len(each.key) for each in found} == {KEY_CHARS}
    assert all(changed([each]) == {"prices.py": each.after} for each in found)
    rate = next(each for each in found if each.name == "_rate")
    rounded = next(each for each in found if each.name == "_rounded")
    both = changed([rate, rounded])["prices.py"]
    assert both == changed([rounded, rate])["prices.py"]
    assert both.count("\n".join(rounded.block)) == both.count("\n".join(rate.block)) == 1
    with pytest.raises(ValueError, match="within another"):
        changed([rate, rate])


async def test_what_is_made_is_graded_by_the_official_grader(tmp_path: Path) -> None:
    out = tmp_path / "prices.jsonl"
    assert _forge(sdist(tmp_path), out, 2).returncode == 0
    instances = read_rows(str(out))
    assert len(instances) == 2
    for instance in instances:
        hidden = [test.partition("::")[2] for test in instance.fail_to_pass]
        site = instance.patch.partition("@@")[2]
        assert instance.problem_statement.startswith("prices ")
        assert "```python" in instance.problem_statement
        assert not any(name in instance.problem_statement for name in ["test_", "def ", *hidden])
        assert site
    cache = tmp_path / "data" / "evals"
    benchmark = SweBench(
        str(out), Trees(cache, url=None), Environments(cache / "environments"), sandbox=SandboxSettings()
    )
    instance = instances[0]
    workspace = await benchmark.prepare(instance, _made(tmp_path / "work"))
    shown = (workspace.tree / "tests" / "test_prices.py").read_text()
    assert not any(test.partition("::")[2] in shown for test in instance.fail_to_pass)
    gold = Prediction(instance_id=instance.instance_id, model_name_or_path="gold", model_patch=instance.patch)
    empty = gold.model_copy(update={"model_patch": "--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+x\n"})
    assert (await benchmark.grade(instance, gold, _made(tmp_path / "gold"))).resolved
    base = await benchmark.grade(instance, empty, _made(tmp_path / "base"))
    assert (base.resolved, base.fail_to_pass, base.pass_to_pass_broken, base.problem) == (False, (), (), "")
    # What is there is not made again.
    before = out.read_text()
    assert _forge(tmp_path / "prices-1.0.tar.gz", out, 2).returncode == 0
    assert out.read_text() == before
    # A recipe that names ids makes the same rows again, and says what became of the others.
    recipe, strange = tmp_path / "recipe.toml", "prices-1.0.func_pm_remove_cond__01234567"
    ids = [strange, instances[1].instance_id]
    recipe.write_text(RECIPE.format(archive=tmp_path / "prices-1.0.tar.gz", ids=ids, python=PYTHON))
    again = _forge(recipe, tmp_path / "again.jsonl", 1)
    assert (again.returncode, f"no mutation of this project makes {strange}" in again.stderr) == (1, True)
    assert read_rows(str(tmp_path / "again.jsonl")) == instances[1:]


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_two_forges_do_not_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    with try_lock(out):
        refused = _forge(sdist(tmp_path), out, 1)
    assert (refused.returncode, f"another forge is writing {out}" in refused.stderr) == (2, True)
    assert out.read_text() == ""


@pytest.mark.parametrize("name", ["rows.json", "rows", "rows.jsonl.bak"])
def test_a_file_that_would_not_be_read_again_is_refused(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    refused = _forge(sdist(tmp_path), out, 1)
    assert (refused.returncode, f"{out} does not end in .jsonl" in refused.stderr) == (2, True), refused.stderr
    assert not out.exists()


def test_what_a_kill_left_of_a_row_is_cut_off(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", make_row("", instance_id="prices-1.0.func_pm_remove_cond__1"))
    archive, whole = sdist(tmp_path), rows.read_bytes()
    for found in (whole + b'{"instance_id": "caf\xc3', whole.removesuffix(b"\n")):
        rows.write_bytes(found)
        done = _forge(archive, rows, 1)
        assert (done.returncode, rows.read_bytes()) == (0, whole), done.stderr


def test_a_file_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    notes.write_text("line1\nprecious last")
    refused = _forge(sdist(tmp_path), notes, 1)
    assert (refused.returncode, f"{notes}:1: invalid json" in refused.stderr) == (2, True), refused.stderr
    assert notes.read_text() == "line1\nprecious last"


def test_a_package_in_which_a_search_found_none_is_left_alone(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    text = RECIPE.format(archive=sdist(tmp_path), ids=[], python=PYTHON)
    recipe.write_text(text.replace("ids = []", "count = 0"))
    done = _forge(recipe, tmp_path / "rows.jsonl", 1)
    assert (done.returncode, "making the environment" in done.stderr) == (3, False), done.stderr


@pytest.mark.parametrize("others", ["sqlparse-0.6.1.func_pm_remove_cond__1", "prices-1.0.1.func_pm_remove_cond__1"])
def test_rows_of_other_projects_do_not_count(tmp_path: Path, others: str) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", make_row("", instance_id=others))
    before = rows.read_text()
    done = _forge(sdist(tmp_path, tests="def test_nothing():\n    pass\n"), rows, 1)
    assert (done.returncode, f"0 of 1 instances in {rows}" in done.stderr) == (3, True), done.stderr
    assert rows.read_text() == before


def test_an_unknown_package_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    recipe, out = tmp_path / "recipe.toml", tmp_path / "rows.jsonl"
    text = RECIPE.format(archive="prices-1.0.tar.gz", ids=[], python=PYTHON)
    recipe.write_text(text + text.replace("prices", "taxes"))
    refused = _forge(recipe, out, 1, "--only", "price")
    assert (refused.returncode, refused.stderr.splitlines()) == (
        2,
        [f"patchwright: {recipe} has no package price", "hint: there are prices, taxes"],
    )
    assert not out.exists()


@pytest.mark.parametrize("options", ["", " -q"])
def test_tests_whose_names_pytest_does_not_print_are_refused(tmp_path: Path, options: str) -> None:
    out, command = tmp_path / "rows.jsonl", f"python -m pytest{options}"
    refused = _forge(sdist(tmp_path), out, 1, "--test-command", command)
    assert (refused.returncode, refused.stderr.splitlines()[-2:]) == (
        3,
        [
            f"patchwright: parse_log_pytest sees none of 28 tests pass in the output of {command}",
            "hint: pytest names the tests that pass when it is run with -rA",
        ],
    )
    assert out.read_text() == ""


def test_what_only_tests_notice_that_the_grader_does_not_see_is_no_instance(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    command = "python -m pytest -rA -k label; python -m pytest -k 'not label'"
    done = _forge(sdist(tmp_path), out, 1, "--test-command", command)
    assert (done.returncode, out.read_text()) == (3, ""), done.stderr
    assert "of _rate: the grader sees none of the failing tests" in done.stderr


def test_each_package_of_our_own_recipe_has_its_ids_or_none_to_look_for() -> None:
    packages = read_recipe(Path(__file__).parents[3] / "benchmarks" / "forge.toml").packages
    assert [each.name for each in packages if not each.ids] == [each.name for each in packages if each.count == 0]


def _forge(source: Path | str, out: Path, count: int, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "patchwright.cli.main", "eval", "forge", str(source)]
    options = [
        "--count",
        str(count),
        "--python",
        PYTHON,
        "--package",
        "pytest==9.2.0",
        "--install",
        "",
        "--out",
        str(out),
        *more,
    ]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("source", ["prices-1.0.tar.gz", "recipe.toml"])
def test_without_the_extra_the_refusal_says_what_to_install(tmp_path: Path, source: str) -> None:
    archive = sdist(tmp_path)
    (tmp_path / "recipe.toml").write_text(RECIPE.format(archive=archive, ids=[], python=PYTHON))
    packages = _made(tmp_path / "packages")
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith("swesmith"):
            (packages / each.name).symlink_to(each)
    places = f"{Path(patchwright.__file__).parents[1]}{os.pathsep}{packages}"
    command = [sys.executable, "-S", "-m", "patchwright.cli.main", "eval", "forge", source]
    refused = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": places}, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stderr.splitlines()) == (
        3,
        [
            "patchwright: swesmith cannot be imported: No module named 'swesmith'",
            "hint: `pip install 'patchwright[eval]'` brings what benchmarks need",
        ],
    )
    assert not list(tmp_path.glob("*.jsonl"))


@pytest.mark.parametrize(("source", "problem"), [("prices", "is no project"), ("prices-2.0.tar.gz", "no such file")])
def test_what_is_no_project_is_refused(tmp_path: Path, source: str, problem: str) -> None:
    refused = _forge(source, tmp_path / "rows.jsonl", 1)
    assert refused.returncode == 2
    assert problem in refused.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed = ", "Invalid value"),
        ("seed = 1", "packages: field required"),
        ("packages = [{ name = 1 }]", "packages.0"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecordError, match=problem):
        read_recipe(path)
    with pytest.raises(RecordError, match="no such file"):
        read_recipe(tmp_path / "gone.toml")
