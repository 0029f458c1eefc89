"""A candidate may change the program, and never what judges it."""

import pytest

from patchwright.resolve.evidence import is_evidence, without_evidence

COMMAND = "python check_adder.py && python -m pytest -q spec/sums.py::test_add"


@pytest.mark.parametrize(
    ("path", "evidence"),
    [
        ("adder.py", False),
        ("check_adder.py", True),
        ("spec/sums.py", True),
        ("tests/helpers.py", True),
        ("pkg/test_adder.py", True),
        ("conftest.py", True),
        ("pytest.ini", True),
        ("pyproject.toml", False),
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
    assert is_evidence(path, COMMAND) is evidence


def test_a_patch_loses_its_changes_of_tests_and_keeps_the_rest() -> None:
    kept = "diff --git a/adder.py b/adder.py\n--- a/adder.py\n+++ b/adder.py\n@@ -1 +1 @@\n-a\n+diff --git c\n"
    new = "diff --git a/tests/test_x.py b/tests/test_x.py\nnew file mode 100644\n--- /dev/null\n+++ b/tests/test_x.py\n"
    renamed = (
        "diff --git a/check_adder.py b/gone.py\nsimilarity index 100%\nrename from check_adder.py\nrename to gone.py\n"
    )
    assert without_evidence(new + "@@ -0,0 +1 @@\n+x\n" + kept + renamed, COMMAND) == kept
    assert without_evidence("", None) == ""
