"""Official scripts, adapted: nothing is activated or installed, what is tested stays as it is."""

import subprocess
from pathlib import Path

import pytest

from patchwright.evals.eval_script import adapted, made_eval_script
from tests.conftest import git

COMMIT = "838e432e3e5519c5383d12018e6c78f8ec7833c1"
OFFICIAL = f"""\
#!/bin/bash
set -uxo pipefail
source /opt/miniconda3/bin/activate
conda activate testbed
cd /testbed
sed -i '/en_US.UTF-8/s/^# //g' /etc/locale.gen && locale-gen
export LANG=en_US.UTF-8
export LC_ALL=en_US.UTF-8
git config --global --add safe.directory /testbed
cd /testbed
git status
git show
git -c core.fileMode=false diff {COMMIT}
source /opt/miniconda3/bin/activate
conda activate testbed
python -m pip install -e .
git checkout {COMMIT} tests/test_a.py
git apply -v - <<'EOF_114329324912'
diff --git a/tests/test_a.py b/tests/test_a.py
+conda activate testbed
 cd /testbed  # {COMMIT}
EOF_114329324912
: '>>>>> Start Test Output'
pytest -rA tests/test_a.py --rootdir=/testbed --ignore=/testbeds
: '>>>>> End Test Output'
git checkout {COMMIT} tests/test_a.py
"""


def test_the_script_runs_where_the_tree_is_and_installs_nothing() -> None:
    lines = adapted(OFFICIAL, COMMIT, Path("/work tree/testbed")).splitlines()
    assert lines[0] == "cd '/work tree/testbed' || exit"
    assert lines[lines.index("set -uxo pipefail") :] == [
        "set -uxo pipefail",
        "cd '/work tree/testbed'",
        "cd '/work tree/testbed'",
        "git checkout HEAD tests/test_a.py",
        "git apply -v - <<'EOF_114329324912'",
        "diff --git a/tests/test_a.py b/tests/test_a.py",
        "+conda activate testbed",
        f" cd /testbed  # {COMMIT}",
        "EOF_114329324912",
        ": '>>>>> Start Test Output'",
        "pytest -rA tests/test_a.py --rootdir='/work tree/testbed' --ignore=/testbeds",
        ": '>>>>> End Test Output'",
        "git checkout HEAD tests/test_a.py",
    ]


@pytest.mark.parametrize(
    ("rest", "end"),
    [
        ("\n\n", " \n \n"),
        ("\n\n", " \n "),
        ("\n\n", "\n\n"),  # an editor has taken the spaces away; git takes it all the same
        ("a\x0cb\r\n\n", " a\x0cb\r\n \n"),
    ],
)
def test_the_patch_of_a_made_script_applies_whatever_its_last_lines_are(tmp_path: Path, rest: str, end: str) -> None:
    tree = tmp_path / "testbed"
    tree.mkdir()
    (tree / "test_a.py").write_bytes(f"old\n{rest}".encode())
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message=start")
    patch = f"diff --git a/test_a.py b/test_a.py\n--- a/test_a.py\n+++ b/test_a.py\n@@ -1,3 +1,3 @@\n-old\n+new\n{end}"
    script = adapted(made_eval_script(COMMIT, patch, "cat test_a.py"), COMMIT, tree)
    script = script.replace("/tmp/patchwright-index", str(tmp_path / "index"))
    ran = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert ran.stdout.decode() == f"new\n{rest}", ran.stderr
