"""A small project with a bug, as a git repository and as a row of SWE-bench whose environment needs no packages."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.conftest import git

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

BUGGY = "def add(a, b):\n    return a - b\n\n\ndef sign(a):\n    return (a > 0) - (a < 0)\n"
GOLD = """\
diff --git a/adder.py b/adder.py
--- a/adder.py
+++ b/adder.py
@@ -1,5 +1,5 @@
 def add(a, b):
-    return a - b
+    return a + b
 
 
 def sign(a):
"""  # noqa: W293
TESTS = """\
import sys

import adder


def test_sign():
    assert adder.sign(-3) == -1


if __name__ == "__main__":
    failed = False
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            try:
                test()
                print("PASSED", "check_adder.py::" + name)
            except AssertionError:
                failed = True
                print("FAILED", "check_adder.py::" + name)
    sys.exit(failed)
"""
TEST_PATCH = """\
diff --git a/check_adder.py b/check_adder.py
--- a/check_adder.py
+++ b/check_adder.py
@@ -3,6 +3,10 @@
 import adder
 
 
+def test_add():
+    assert adder.add(2, 3) == 5
+
+
 def test_sign():
     assert adder.sign(-3) == -1
 
"""  # noqa: W293


def make_mirror(repos: Path) -> str:
    """The project as repos/ada__adder; returns the hash of the commit that has the bug. One commit more is there,
    in which it is mended."""
    root = repos / "ada__adder"
    root.mkdir(parents=True)
    (root / "adder.py").write_text(BUGGY)
    (root / "check_adder.py").write_text(TESTS)
    (root / ".gitignore").write_text("kept.log\n__pycache__\n")
    (root / "kept.log").write_text("tracked all the same\n")
    base = committed(root)
    (root / "adder.py").write_text(BUGGY.replace("a - b", "a + b"))
    git(root, "commit", "--quiet", "--all", "--message=mend")
    return base


def committed(root: Path) -> str:
    """Makes the directory a repository of one commit, with what it ignores; returns its hash."""
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--force", ".")
    git(root, "commit", "--quiet", "--message=start")
    return git(root, "rev-parse", "HEAD").strip()


def make_row(base_commit: str, **changes: object) -> dict[str, Any]:
    row = {
        "instance_id": "ada__adder-1",
        "repo": "ada/adder",
        "base_commit": base_commit,
        "problem_statement": "add subtracts",
        "patch": GOLD,
        "test_patch": TEST_PATCH,
        "FAIL_TO_PASS": json.dumps(["check_adder.py::test_add"]),
        "PASS_TO_PASS": ["check_adder.py::test_sign"],
        "version": "1.0",
        "created_by": "nobody",
        "install_config": {"python": PYTHON, "test_cmd": "python check_adder.py", "log_parser": "parse_log_pytest"},
    }
    return row | changes


def write_rows(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file
