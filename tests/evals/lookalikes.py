"""Checkouts that look like those of the real benchmarks, with one exercise each."""

import json
from pathlib import Path

QUIXBUGS_BUG = "def double(n):\n    return n + n + 1\n"
QUIXBUGS_RIGHT = "def double(n):\n    return n + n\n"
QUIXBUGS_TEST = """import pytest
from load_testdata import load_json_testcases

if pytest.use_correct:
    from correct_python_programs.double import double
else:
    from python_programs.double import double


@pytest.mark.parametrize("input_data,expected", load_json_testcases(double.__name__))
def test_double(input_data, expected):
    assert double(*input_data) == expected
"""
LOAD_TESTDATA = """import json
from pathlib import Path


def load_json_testcases(algorithm):
    with open(Path(__file__).parent / ".." / f"json_testcases/{algorithm}.json") as lines:
        return [json.loads(line) for line in lines]
"""
CONFTEST = """import pytest


def pytest_configure(config):
    pytest.use_correct = False
"""
HUMANEVALFIX_ROW = {
    "task_id": "Python/7",
    "entry_point": "double",
    "prompt": 'def double(n: int) -> int:\n    """ Twice n. """\n',
    "declaration": "from typing import List\n\n\ndef double(n: int) -> int:\n",
    "buggy_solution": "    return n * n\n",
    "canonical_solution": "    return n * 2\n",
    "test": "\n\ndef check(double):\n    assert double(3) == 6\n\ncheck(double)",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def quixbugs_checkout(root: Path) -> Path:
    return write(
        root,
        {
            "conftest.py": CONFTEST,
            "python_programs/double.py": QUIXBUGS_BUG.rstrip("\n"),
            "correct_python_programs/double.py": QUIXBUGS_RIGHT,
            "python_testcases/load_testdata.py": LOAD_TESTDATA,
            "python_testcases/test_double.py": QUIXBUGS_TEST,
            "json_testcases/double.json": "[[2], 4]\n[[0], 0]\n",
        },
    )


def humanevalfix_file(path: Path) -> Path:
    path.write_text(json.dumps(HUMANEVALFIX_ROW) + "\n")
    return path


def exercism_checkout(root: Path, practice: str = "exercises/practice") -> Path:
    config = {
        "authors": ["ada"],
        "files": {"solution": ["double.py"], "test": ["double_test.py"], "example": [".meta/example.py"]},
        "blurb": "Double it.",
    }
    test = "import unittest\nfrom double import double\nfrom test_utils import TWO\n\n\n"
    test += "class DoubleTest(unittest.TestCase):\n"
    test += "    def test_two(self):\n        self.assertEqual(double(TWO), 4)\n"
    files = {
        ".meta/config.json": json.dumps(config),
        ".meta/example.py": QUIXBUGS_RIGHT,
        ".docs/instructions.md": "# Instructions\n\nDouble a number.\n",
        ".docs/instructions.append.md": "# Appended\n\nAs fast as you can.\n",
        "double.py": "def double(n):\n    pass\n",
        "double_test.py": test,
        "test_utils.py": "TWO = 2\n",
    }
    return write(root, {f"{practice}/double/{name}": text for name, text in files.items()})
