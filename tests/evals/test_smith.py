"""SWE-smith's rows as they are published: swesmith's own profiles say how they are installed and tested."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from patchwright.errors import BenchmarkError, RecordError
from patchwright.evals.environments import Environments
from patchwright.evals.eval_script import made_eval_script
from patchwright.evals.grading import statuses
from patchwright.evals.rows import read_rows
from patchwright.evals.smith import Profile, check_profile, hidden_tests, profiled, profiles
from patchwright.evals.swebench import SweBench
from patchwright.evals.trees import Trees
from patchwright.schema.instance import Instance, Prediction
from tests.conftest import git
from tests.evals.adder import PYTHON, committed, make_row, write_rows

pytestmark = pytest.mark.filterwarnings("ignore")  # swebench's imports

PATCH = """\
diff --git a/oauthlib/common.py b/oauthlib/common.py
index 395e75e..7a3f1c2 100644
--- a/oauthlib/common.py
+++ b/oauthlib/common.py
@@ -1,3 +1,3 @@
 a
-    return True
+    return False
 b
"""
THEIRS = """
import json, sys
from patchwright.evals.smith_program import registry
print(json.dumps(registry().get(sys.argv[1]).log_parser(sys.stdin.read())))
"""
TESTS = '''
import unittest
import pytest


@pytest.fixture
def broken():
    raise OSError


def test_passes(): ...
def test_fails(): raise AssertionError("PASSED - test_a.py::test_errs")
def test_errs(broken): ...
@pytest.mark.skip
def test_skips(): ...
@pytest.mark.xfail
def test_is_expected_to_fail(): raise ValueError
@pytest.mark.parametrize("word", ["a-b", "a[b", "a b", "ä"])
def test_words(word): ...


class TestCase(unittest.TestCase):
    def test_passes(self): ...
    def test_fails(self): self.fail()
    @unittest.skip("why not")
    def test_skips(self): ...
    def test_says(self):
        """Says what it does."""


if __name__ == "__main__":
    unittest.main()
'''


BUG = """\
diff --git a/adder.py b/adder.py
--- a/adder.py
+++ b/adder.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a + b
+    return a - b
"""
ADDER_TEST = """\
import sys
sys.path.insert(0, ".")
import adder
print("PASSED" if adder.add(2, 3) == 5 else "FAILED", "tests/test_adder.py::test_add")
"""
OTHER_TEST = 'print("PASSED tests/test_other.py::test_other")\n'
CHEATING_TEST = """\
diff --git a/tests/test_adder.py b/tests/test_adder.py
new file mode 100644
--- /dev/null
+++ b/tests/test_adder.py
@@ -0,0 +1 @@
+print("PASSED tests/test_adder.py::test_add")
"""


def adder_benchmark(tmp_path: Path, **changes: object) -> SweBench:
    """One row of a project with two files of tests, whose script puts both back."""
    root = tmp_path / "repos" / "ada__adder"
    (root / "tests").mkdir(parents=True)
    (root / "adder.py").write_text("def add(a, b):\n    return a + b\n")
    (root / "tests" / "test_adder.py").write_text(ADDER_TEST)
    (root / "tests" / "test_other.py").write_text(OTHER_TEST)
    base = committed(root)
    files = ("tests/test_adder.py", "tests/test_other.py")
    command = " && ".join(f"python {file}" for file in files)
    row = smith_row(
        f"ada__adder.{base[:8]}",
        base_commit=base,
        patch=BUG,
        FAIL_TO_PASS=["tests/test_adder.py::test_add"],
        PASS_TO_PASS=["tests/test_other.py::test_other"],
        install_config={"python": PYTHON, "log_parser": "parse_log_pytest"},
        eval_script=made_eval_script(base, "", command, files),
    )
    rows = write_rows(tmp_path / "rows.jsonl", row | changes)
    trees = Trees(tmp_path / "cache", repos=tmp_path / "repos", url=None)
    return SweBench(str(rows), trees, Environments(tmp_path / "environments", path=os.defpath))


def smith_row(mirror: str = "oauthlib__oauthlib.1fd52536", **changes: Any) -> dict[str, Any]:
    """A row with the columns that SWE-bench/SWE-smith has."""
    return {
        "instance_id": f"{mirror}.func_pm_flip__abcdefgh",
        "patch": PATCH,
        "FAIL_TO_PASS": ["tests/test_common.py::CommonTest::test_a", "oauthlib/common.py::oauthlib.common"],
        "PASS_TO_PASS": ["tests/test_common.py::CommonTest::test_b", "tests/test_uri.py::test_c[a b]"],
        "image_name": "jyangballin/swesmith.x86_64.oauthlib_1776_oauthlib.1fd52536",
        "repo": f"swesmith/{mirror}",
        "problem_statement": "",
    } | changes


def read(tmp_path: Path, *rows: dict[str, Any]) -> tuple[Instance, ...]:
    return read_rows(str(write_rows(tmp_path / "rows.jsonl", *rows)))


def profile_of(mirror: str) -> Profile:
    instance = Instance(
        instance_id=mirror,
        repo=f"swesmith/{mirror}",
        base_commit="",
        problem_statement="",
        patch="",
        FAIL_TO_PASS=("a",),
    )
    (profile,) = profiles([instance])
    assert isinstance(profile, Profile)
    return profile


def test_a_row_as_published_gets_its_project_s_environment_and_tests(tmp_path: Path) -> None:
    (instance,) = read(tmp_path, smith_row())
    assert instance.base_commit == "1fd5253630c03e3f12719dd8c13d43111f66a8d2"
    assert instance.log_parser == "parse_log_pytest"
    config = instance.install_config
    assert config is not None
    assert config.python == "3.10"
    assert any(package.startswith("pytest") for package in config.pip_packages)
    assert config.install.splitlines()[-1] == "python -m pip install -e ."
    assert config.test_cmd == "pytest --disable-warnings --color=no --tb=no --verbose -rA"


def test_tests_are_put_back_and_what_is_to_be_mended_is_not(tmp_path: Path) -> None:
    (instance,) = read(tmp_path, smith_row())
    reset = f"git checkout {instance.base_commit} tests/test_common.py tests/test_uri.py"
    assert instance.eval_script.splitlines()[3:] == [
        reset,
        ":",
        ": '>>>>> Start Test Output'",
        "pytest --disable-warnings --color=no --tb=no --verbose -rA",
        ": '>>>>> End Test Output'",
        reset,
    ]


def test_a_statement_that_is_missing_is_empty_and_a_patch_that_is_missing_is_refused(tmp_path: Path) -> None:
    row = smith_row()
    del row["problem_statement"]
    assert read(tmp_path, row)[0].problem_statement == ""
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: patch: column is missing"):
        read(tmp_path, smith_row(patch=None))


def test_a_patch_whose_last_line_does_not_end_is_turned_round_all_the_same(tmp_path: Path) -> None:
    for end in ("\n", ""):
        for last in (" b\n", ""):
            patch = PATCH.removesuffix(" b\n").replace("1,3 +1,3", "1,2 +1,2" if not last else "1,3 +1,3") + last
            (instance,) = read(tmp_path, smith_row(patch=patch.removesuffix("\n") + end))
            assert [line for line in instance.patch.splitlines() if "return" in line] == [
                "-    return False",
                "+    return True",
            ]
            assert instance.patch.endswith("\n")


async def test_what_shows_the_bug_is_hidden_from_those_who_work_and_is_there_when_it_is_graded(tmp_path: Path) -> None:
    benchmark = adder_benchmark(tmp_path)
    (instance,) = benchmark.instances()
    workspace = await benchmark.prepare(instance, tmp_path / "work")
    assert git(workspace.tree, "ls-tree", "-r", "--name-only", "HEAD").split() == ["adder.py", "tests/test_other.py"]
    assert not (workspace.tree / "tests" / "test_adder.py").exists()
    assert "a - b" in (workspace.tree / "adder.py").read_text()
    assert git(workspace.tree, "status", "--porcelain") == ""
    objects = git(workspace.tree, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    blobs = [line.split()[1] for line in objects.splitlines() if line.startswith("blob ")]
    every_object = "\n".join(git(workspace.tree, "cat-file", "blob", blob) for blob in blobs)
    assert "a - b" in every_object
    assert "a + b" not in every_object
    assert "adder.add(2, 3)" not in every_object
    for name, patch, resolved in (
        ("gold", instance.patch, True),
        ("base", "", False),
        ("brings its own", instance.patch + CHEATING_TEST, True),
        ("cheats", CHEATING_TEST, False),
    ):
        prediction = Prediction(instance_id=instance.instance_id, model_name_or_path="ada", model_patch=patch)
        (tmp_path / name).mkdir()
        grade = await benchmark.grade(instance, prediction, tmp_path / name)
        assert (grade.resolved, grade.problem, grade.pass_to_pass_broken) == (resolved, "", ()), name


async def test_nothing_else_is_hidden(tmp_path: Path) -> None:
    outside = "tests/../../test_adder.py::test_add"
    benchmark = adder_benchmark(tmp_path, FAIL_TO_PASS=["adder.py::adder.add", outside, "test_add", "tests::test_add"])
    (instance,) = benchmark.instances()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "test_adder.py").touch()
    workspace = await benchmark.prepare(instance, tmp_path / "work")
    assert git(workspace.tree, "ls-files").split() == ["adder.py", "tests/test_adder.py", "tests/test_other.py"]
    assert (tmp_path / "work" / "test_adder.py").exists()


def test_what_is_to_be_mended_is_neither_hidden_nor_put_back(tmp_path: Path) -> None:
    patch = PATCH.replace("oauthlib/common.py", "oauthlib/testing/common.py")
    doctest = "oauthlib/testing/common.py::oauthlib.testing.common"
    (instance,) = read(tmp_path, smith_row(patch=patch, FAIL_TO_PASS=["tests/test_common.py::test_a", doctest]))
    assert hidden_tests(instance) == ["tests/test_common.py"]
    assert "testing/common.py" not in instance.eval_script


def test_images_that_have_no_bug_grade_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, smith_row())[0].image == ""


def test_a_row_s_own_way_to_test_comes_first_and_nobody_is_asked(tmp_path: Path) -> None:
    own = {"python": "3.12", "test_cmd": "make test"}
    (instance,) = read(tmp_path, smith_row(install_config=own))
    assert instance.install_config is not None
    assert instance.install_config.test_cmd == "make test"
    assert profiled([instance], python="/no/such/python") == (instance,)


def test_a_row_s_own_environment_is_kept_where_it_says_nothing_of_tests(tmp_path: Path) -> None:
    (instance,) = read(tmp_path, smith_row(install_config={"python": "3.12", "pip_packages": ["pytest"]}))
    assert instance.install_config is not None
    assert instance.install_config.python == "3.12"
    assert instance.install_config.test_cmd.startswith("pytest ")


def test_the_profiles_are_imported_by_another_process(tmp_path: Path) -> None:
    read(tmp_path, smith_row())
    assert not {"swesmith.profiles", "ghapi"} & sys.modules.keys()


def test_only_the_files_of_the_tests_are_run_where_the_profile_says_so(tmp_path: Path) -> None:
    (instance,) = read(tmp_path, smith_row("tobymao__sqlglot.036601ba"))
    assert instance.install_config is not None
    command = instance.install_config.test_cmd.split()
    assert {"tests/test_common.py", "tests/test_uri.py"} < set(command)
    assert command[-1] == "-rA"


def test_what_only_an_image_has_is_left_out_and_no_copy_is_installed() -> None:
    scrapy = profile_of("scrapy__scrapy.35212ec5").config()
    assert scrapy.pre_install == ("rm tests/test_feedexport.py", "rm tests/test_pipeline_files.py")
    assert scrapy.install.splitlines()[-1] == "python -m pip install -e ."
    assert "git " not in profile_of("pandas-dev__pandas.95280573").config().install
    assert "setup.py install" not in profile_of("davidhalter__parso.338a5760").config().install


@pytest.mark.parametrize(
    ("mirror", "own", "instead"),
    [
        ("oauthlib__oauthlib.1fd52536", "pytest --disable-warnings --color=no --tb=no --verbose -rA", "{own}"),
        ("paramiko__paramiko.23f92003", "pytest -rA --color=no --disable-warnings -rA", "{own}"),
        ("HIPS__autograd.ac044f0d", "pytest --disable-warnings --color=no --tb=no --verbose -rA", "{own} -s -n 1"),
        ("un33k__python-slugify.872b3750", "python test.py --verbose", "{own}"),
        ("tornadoweb__tornado.d5ac65c1", "python -m tornado.test --verbose", "python -m unittest test --verbose"),
    ],
)
def test_swebench_reads_the_outcomes_that_swesmith_reads(tmp_path: Path, mirror: str, own: str, instead: str) -> None:
    (tmp_path / "test.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_files = test.py\n")
    profile = profile_of(mirror)
    assert profile.config().test_cmd == own
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    command = ["bash", "-c", f"{instead.format(own=own)} 2>&1"]
    log = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False).stdout
    read_by_them = [sys.executable, "-c", THEIRS, f"swesmith/{mirror}"]
    theirs: dict[str, str] = json.loads(subprocess.run(read_by_them, input=log, capture_output=True, check=True).stdout)
    ours = statuses(profile.log_parser, log.decode())
    counted = {name: status for name, status in theirs.items() if status in {"PASSED", "FAILED"}}
    assert {"PASSED", "FAILED"} == set(counted.values())
    assert {name: ours.get(name) for name in counted} == counted


@pytest.mark.parametrize(
    ("mirror", "why"),
    [
        ("ada__adder.01234567", "swesmith has no profile of it"),
        ("oauthlib__oauthlib.01234567", "swesmith has no profile of it"),
        ("gin-gonic__gin.3c12d2a8", "it is in another language than Python"),
    ],
)
async def test_what_no_profile_of_python_knows_is_refused_and_the_others_are_not(
    tmp_path: Path, mirror: str, why: str
) -> None:
    unknown, known = read(tmp_path, smith_row(mirror), smith_row())
    assert known.eval_script
    assert not unknown.eval_script
    benchmark = SweBench(str(tmp_path), Trees(tmp_path), Environments(tmp_path))
    prediction = Prediction(instance_id=unknown.instance_id, model_name_or_path="ada", model_patch="")
    with pytest.raises(BenchmarkError, match=f"nothing says how swesmith/{mirror} is tested: {why}") as refused:
        await benchmark.grade(unknown, prediction, tmp_path / "work")
    assert refused.value.hint is not None
    assert "test_cmd" in refused.value.hint


def test_without_swesmith_rows_are_read_and_the_refusal_says_what_to_install(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    bare = str(tmp_path / "bare" / "bin" / "python")
    (known,) = read(tmp_path, smith_row())
    unprofiled = known.model_copy(update={"eval_script": "", "install_config": None})
    assert profiled([unprofiled], bare) == (unprofiled,)
    with pytest.raises(BenchmarkError, match=r"swesmith cannot be imported: .*No module named 'swesmith'") as refused:
        check_profile(unprofiled, bare)
    assert refused.value.hint is not None
    assert "patchwright[eval]" in refused.value.hint


def test_rows_of_other_benchmarks_are_as_they_were(tmp_path: Path) -> None:
    (instance,) = read(tmp_path, make_row("0" * 40, install_config=None))
    assert not instance.eval_script
    check_profile(instance, "/no/such/python")
