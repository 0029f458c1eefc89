"""Official scripts, adapted: nothing is activated or installed, what is tested stays as it is."""

from pathlib import Path

from patchwright.evals.eval_script import adapted

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
