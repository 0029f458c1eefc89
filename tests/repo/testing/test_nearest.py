"""The tests nearest to a changed file, and commands narrowed to them."""

import pytest

from patchwright.repo.testing.nearest import narrowed, nearest_tests

FILES = (
    "src/pkg/__init__.py",
    "src/pkg/core/__init__.py",
    "src/pkg/core/parser.py",
    "src/pkg/core/tests/test_everything.py",
    "src/pkg/json.py",
    "tests/conftest.py",
    "tests/core/test_parser.py",
    "tests/core/test_lexer.py",
    "tests/test_core_parser_errors.py",
    "tests/test_parser_errors.py",
    "tests/test_api.py",
    "tests/test_cli.py",
    "other/parser_test.py",
)


def test_names_come_first_then_directories() -> None:
    assert nearest_tests(FILES, "src/pkg/core/parser.py") == (
        "tests/core/test_parser.py",
        "other/parser_test.py",
        "tests/test_parser_errors.py",
        "tests/test_core_parser_errors.py",
        "src/pkg/core/tests/test_everything.py",
        "tests/core/test_lexer.py",
    )


def test_a_test_that_imports_the_module_is_near() -> None:
    texts = {
        "tests/test_api.py": "from pkg.core import parser\n",
        "tests/test_cli.py": "import json\nimport pkg.core\n",
        "tests/core/test_lexer.py": "def broken(:\n",
    }
    nearest = nearest_tests(FILES, "src/pkg/core/parser.py", texts)
    assert nearest.index("tests/test_api.py") == 2
    assert "tests/test_cli.py" in nearest
    assert "tests/test_api.py" not in nearest_tests(FILES, "src/pkg/json.py", texts)


def test_a_module_of_the_standard_library_is_another_one() -> None:
    texts = {"tests/test_cli.py": "import json\n"}
    assert "tests/test_cli.py" not in nearest_tests(("src/pkg/__init__.py", *FILES), "src/pkg/json.py", texts)


def test_a_flat_repository_has_names_and_imports() -> None:
    files = ("adder.py", "test_adder.py", "test_more.py", "test_else.py", "tests.py")
    texts = {"test_more.py": "import adder\n", "test_else.py": "import os\n"}
    assert nearest_tests(files, "adder.py", texts) == ("test_adder.py", "test_more.py")


def test_a_package_is_tested_by_its_name() -> None:
    assert nearest_tests(("pkg/__init__.py", "tests/test_pkg.py", "tests/test_x.py"), "pkg/__init__.py") == (
        "tests/test_pkg.py",
    )


def test_a_changed_test_is_nearest_to_itself() -> None:
    assert nearest_tests(FILES, "tests/test_api.py")[0] == "tests/test_api.py"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pytest", "pytest tests/a.py 'tests/b c.py'"),
        ("python -m pytest -q", "python -m pytest -q tests/a.py 'tests/b c.py'"),
        ("python3.11 -X dev -m pytest tests -x", "python3.11 -X dev -m pytest -x tests/a.py 'tests/b c.py'"),
        ("pytest -k 'a or (b)' -n 4 .", "pytest -k 'a or (b)' -n 4 tests/a.py 'tests/b c.py'"),
        ("PYTHONPATH='a b' .venv/bin/pytest tests/", "PYTHONPATH='a b' .venv/bin/pytest tests/a.py 'tests/b c.py'"),
        ("uv run pytest --tb=short tests/a.py", "uv run pytest --tb=short tests/a.py"),
        ("pytest --cov src tests -vv", "pytest --cov src -vv tests/a.py 'tests/b c.py'"),
    ],
)
def test_a_plain_pytest_command_is_narrowed(command: str, expected: str) -> None:
    assert narrowed(command, ("tests/a.py", "tests/b c.py")) == expected


@pytest.mark.parametrize(
    "command",
    [
        *("", "make test", "python -m unittest", "python tests/a.py", "tox -e py", "pytest 'unbalanced"),
        *("pytest a && pytest b", "cd x; pytest", "pytest | tee log", "pytest $ARGS", "pytest tests/*.py", "(pytest)"),
        *("pytest tests/a.py::test_x", "pytest --unknown tests", "pytest --pyargs pkg", "pytest other", "pytest -- x"),
    ],
)
def test_any_other_command_is_not(command: str) -> None:
    assert narrowed(command, ("tests/a.py",)) is None


def test_there_is_nothing_to_narrow_to() -> None:
    assert narrowed("pytest", ()) is None
