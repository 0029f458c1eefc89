"""Keys are the same for the same program, diffs are what git applies, and no text is too hostile for either."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchwright.resolve.sources import normalised, parsed, unified_diff


def test_layout_comments_and_docstrings_do_not_change_the_key() -> None:
    assert normalised('def f( x ):\n  """Doc."""\n  return (x) # so\n') == normalised("def f(x):\n    return x")
    assert normalised("def f(x): return x") != normalised("def f(x): return y")
    assert normalised("a {\n  b }") == normalised("a  { b }") != normalised("a { c }")
    assert normalised("# One") != normalised("# Two")


@pytest.mark.parametrize(
    "hostile", ["\0", "x = '\0'", "(" * 5000, "-" * 100_000 + "1", "a" + ".b" * 50_000, "\ud800", "0x" + "f" * 9000]
)
def test_hostile_texts_have_keys(hostile: str) -> None:
    assert len(normalised(hostile)) == 64


def test_a_warning_of_the_parser_is_not_an_error() -> None:
    assert parsed(r"x = '\d'") is not None


TEXT = st.lists(st.sampled_from(["a", "b", "", "c\r", " d", "é"]), max_size=12).map("\n".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TEXT, after=TEXT, name=st.sampled_from(["x.py", "a b.txt", "d/é.py"]))
def test_git_applies_the_diff(tmp_path: Path, before: str, after: str, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(before.encode())
    diff = unified_diff(name, before, after)
    assert bool(diff) == (before != after)
    if diff:
        subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True, capture_output=True)
        assert path.read_bytes().decode() == after
