"""A candidate may change the program, and never what judges it."""

from pathlib import Path

import pytest

from patchwright.resolve.evidence import is_evidence, judging_files, without_evidence
from tests.conftest import git

JUDGING = judging_files("python check_adder.py && python -m pytest -q sums/few.py::test_add", ())


@pytest.mark.parametrize(
    ("path", "evidence"),
    [
        ("adder.py", False),
        ("check_adder.py", True),
        ("sums/few.py", True),
        ("tests/helpers.py", True),
        ("pkg/test_adder.py", True),
        ("conftest.py", True),
        ("pytest.ini", True),
        *((name, True) for name in ("pyproject.toml", "setup.cfg", "pytest.toml", "makefile", ".coveragerc")),
        ("sitecustomize.py", True),
        ("usercustomize.py", True),
        *((name, True) for name in ("pytest.py", "_pytest/__init__.py", "unittest.py")),
        *((name, False) for name in ("src/pytest/__init__.py", "src/_pytest/python.py", "_pytest/python.py")),
        ("setup.py", False),
        ("polls/tests.py", True),
        ("pkg/sums_tests.py", True),
        ("src/sums.test.js", True),
        ("src/__tests__/sums.js", True),
        ("spec/sums_spec.rb", True),
        ("package.json", True),
        ("src/contest.py", False),
        ("src/attestation.js", False),
        ("latest/adder.py", False),
    ],
)
def test_tests_their_settings_and_what_the_command_names_are_evidence(path: str, evidence: bool) -> None:
    assert is_evidence(path, JUDGING) is evidence


def test_a_patch_loses_its_changes_of_tests_and_keeps_the_rest() -> None:
    kept = "diff --git a/adder.py b/adder.py\n--- a/adder.py\n+++ b/adder.py\n@@ -1 +1 @@\n-a\n+diff --git c\n"
    new = "diff --git a/tests/test_x.py b/tests/test_x.py\nnew file mode 100644\n--- /dev/null\n+++ b/tests/test_x.py\n"
    renamed = (
        "diff --git a/check_adder.py b/gone.py\nsimilarity index 100%\nrename from check_adder.py\nrename to gone.py\n"
    )
    assert without_evidence(new + "@@ -0,0 +1 @@\n+x\n" + kept + renamed, JUDGING) == kept
    assert without_evidence("", frozenset()) == ""


def test_names_that_git_quotes_are_read(tmp_path: Path) -> None:
    """As git writes them: a new test, one without a line, one that only moves, and a program of such a name."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "alt-ä.py").write_text("old\n" * 9)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=start")
    (tmp_path / "tests" / "alt-ä.py").rename(tmp_path / "anders b.py")
    for name in ("tests/zählt.py", 'test_"ü".py', "zähler.py"):
        (tmp_path / name).write_text("new\n")
    (tmp_path / "tests" / "leer\t.py").touch()
    git(tmp_path, "add", ".")
    patch = git(tmp_path, "diff", "--cached", "--find-renames", "HEAD")
    kept = without_evidence(patch, frozenset())
    assert kept.startswith('diff --git "a/z\\303\\244hler.py" "b/z\\303\\244hler.py"\n')
    assert (patch.count("diff --git"), kept.count("diff --git")) == (5, 1)


@pytest.mark.parametrize(
    ("test", "evidence"),
    [
        ("checks/check_x.py::test_a", True),
        ("checks/check_x.py::test_a[1.5-a::b.c]", True),
        ("checks/check_x.py::CheckA::test_b", True),
        ("checks/check_x.py", True),
        ("checks/__init__.py::test_a", True),
        ("mod.py::mod", False),
        ("src/pkg/__init__.py::pkg", False),
        ("src/mod.py::mod.func", False),
        ("src/mod.py::pkg.mod.Class.method", False),
        ("README.rst::README.rst", True),
        ("src/mod.py::FLAKE8", False),
        ("src/mod.py::ruff::format", False),
    ],
)
def test_a_file_that_holds_tests_is_evidence_and_one_that_is_tested_is_not(test: str, evidence: bool) -> None:
    path = test.partition("::")[0]
    assert is_evidence(path, judging_files("pytest", [test])) is evidence


def test_a_module_that_doctests_cannot_import_is_not_evidence() -> None:
    assert not is_evidence("src/mod.py", judging_files("pytest --doctest-modules src", ["src/mod.py"]))
