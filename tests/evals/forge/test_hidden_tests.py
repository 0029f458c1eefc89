"""Test files without the tests that show a fault."""

from pathlib import Path

from patchwright.evals.forge.hidden_tests import hidden
from patchwright.resolve.sources import parsed

SOURCE = """import pytest
from tests.shared import Mixin


@pytest.mark.parametrize("a", [1, 2])
def test_a(a):
    assert a


def test_b():
    assert 1


class TestC:
    def test_only(self):
        assert 1


class TestD(Mixin):
    x = 1

    def test_e(self):
        assert 1
"""
SHARED = "class Mixin:\n    def test_shared(self):\n        assert 1\n\n    def test_other(self):\n        assert 1\n"


def tree(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(SOURCE)
    (tmp_path / "tests" / "shared.py").write_text(SHARED)
    return tmp_path


def test_functions_go_with_their_decorators_and_classes_with_their_last_test(tmp_path: Path) -> None:
    found = hidden(tree(tmp_path), ["tests/test_x.py::test_a[1]", "tests/test_x.py::TestC::test_only"])
    assert found is not None
    text = found["tests/test_x.py"]
    assert parsed(text)
    assert "parametrize" not in text
    assert "TestC" not in text
    assert "def test_b" in text
    assert "def test_e" in text


def test_an_inherited_test_goes_where_it_is_written(tmp_path: Path) -> None:
    assert hidden(tree(tmp_path), ["tests/test_x.py::TestD::test_shared"]) == {
        "tests/shared.py": "class Mixin:\n\n    def test_other(self):\n        assert 1\n"
    }


def test_what_is_not_found_is_not_hidden_by_halves(tmp_path: Path) -> None:
    root = tree(tmp_path)
    assert hidden(root, ["tests/test_x.py::test_b", "tests/test_x.py::test_made_at_run_time"]) is None
    assert hidden(root, ["tests/gone.py::test_b"]) is None
