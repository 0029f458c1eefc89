"""Answers as edits: what of an answer is taken, how it is fitted, and what a model is told when it can't be used."""

import ast
import subprocess
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchwright.resolve.edits import (
    Unusable,
    normalised,
    parsed,
    replaced_function,
    replaced_line,
    search_replace,
    unified_diff,
)
from patchwright.schema.resolution import Location

SOURCE = dedent(
    '''\
    """Numbers."""
    import os


    def gcd(a, b):
        if b == 0:
            return a
        return gcd(a % b, b)


    class Box:
        @property
        def size(self):
            return len(self.items) + 1

        def put(self, item):
            self.items.append(item)
    '''
)


def location(name: str, source: str = SOURCE) -> Location:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name.rpartition(".")[2]:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            last = node.end_lineno or 0
            return Location(path="m.py", name=name, kind=kind, start_line=first, end_line=last, score=1.0)
    raise AssertionError(name)


MODULE = Location(path="m.py", name="", kind="module", start_line=1, end_line=17, score=1.0)
GCD = "def gcd(a, b):\n    if b == 0:\n        return a\n    return gcd(b, a % b)"
RIGHT = SOURCE.replace("gcd(a % b, b)", "gcd(b, a % b)")


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n{GCD}\n```",
        f"The arguments are swapped.\n\n```python\n{GCD}\n```\n\nNow it ends.",
        f"{GCD}\n",
        f"Here it is:\n\n{GCD}\n\nThis swaps the arguments.",
        f"```\n{GCD}\n\nprint(gcd(3, 4))\nassert gcd(4, 2) == 2\n```",
        f"```python\n{GCD}",
        f"```python\nimport os\nimport pytest\n\n{GCD}\n\ndef test_gcd():\n    assert gcd(1, 1) == 1\n```",
        f"The old one:\n```python\n{GCD.replace('b, a % b', 'a % b, b')}\n```\nThe new one:\n```python\n{GCD}\n```",
        "```python\n" + "\n".join(f"    {line}" for line in GCD.split("\n")) + "\n```",
        f"```python\n    {GCD}\n```",
        f"```python\n{GCD}\n```".replace("\n", "\r\n"),
    ],
)
def test_the_function_is_found_in_the_answer_and_put_in_its_place(answer: str) -> None:
    assert replaced_function(SOURCE, location("gcd"), answer) == RIGHT


@pytest.mark.parametrize(
    "answer",
    [
        "def size(self):\n    return len(self.items)",
        "    @property\n    def size(self):\n        return len(self.items)",
        "class Box:\n    @property\n    def size(self):\n        return len(self.items)",
        "class Box:\n  def size(self):\n      return len(self.items)",
        "class O:\n    def size(self):\n        1\n\nclass Box:\n    def size(self):\n        return len(self.items)",
    ],
)
def test_a_method_is_fitted_into_its_class_and_keeps_its_decorators(answer: str) -> None:
    wanted = SOURCE.replace("len(self.items) + 1", "len(self.items)")
    assert replaced_function(SOURCE, location("Box.size"), f"```python\n{answer}\n```") == wanted


def test_an_answer_brings_the_imports_and_helpers_that_the_function_uses() -> None:
    answer = (
        "import math\nimport sys\n\ndef half(x):\n    return x / 2\n\ndef gcd(a, b):\n    return half(math.gcd(a, b))\n"
    )
    result = replaced_function(SOURCE, location("gcd"), f"```python\n{answer}```")
    start = '"""Numbers."""\nimport os\nimport math\n\n\ndef half(x):\n    return x / 2\n\n\ndef gcd(a, b):\n'
    assert result == start + "    return half(math.gcd(a, b))\n" + SOURCE[SOURCE.index("\n\nclass Box") :]


def test_imports_come_along_when_the_rest_of_the_answer_is_prose() -> None:
    answer = "Use math:\n\nimport math\n\ndef gcd(a, b):\n    return math.gcd(a, b)\n\nThat is all."
    assert "import os\nimport math\n" in replaced_function(SOURCE, location("gcd"), answer)


def test_what_a_string_holds_is_not_moved_with_the_function() -> None:
    source = "class A:\n    def f(self):\n        return 1\n"
    answer = 'def f(self):\n    return """a\n  b"""'
    wanted = 'class A:\n    def f(self):\n        return """a\n  b"""\n'
    assert replaced_function(source, location("A.f", source), answer) == wanted


@pytest.mark.parametrize("tail", ["", "\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_missing_last_one_are_kept(end: str, tail: str) -> None:
    source = f"x = 1{end}def f():{end}    return 1{tail and end}"
    wanted = f"x = 1{end}def f():{end}    return 2{tail and end}"
    assert replaced_function(source, location("f", source), "def f():\n    return 2\n") == wanted


def test_a_whole_file_takes_the_place_of_a_module() -> None:
    assert replaced_function(SOURCE, MODULE, f"```python\n{RIGHT}```") == RIGHT


@pytest.mark.parametrize(
    ("name", "answer", "problem"),
    [
        ("gcd", "I cannot do that.", "the answer does not define gcd. Write that function completely."),
        ("gcd", "def lcm(a):\n    return a", "the answer does not define gcd. Write that function completely."),
        ("gcd", "def gcd(a, b):\n    return (a", "the answer does not parse: line 2: '(' was never closed. "),
        ("gcd", GCD.replace("b, a % b", "a % b, b"), "the answer is the same code as before: nothing is changed."),
        (
            "gcd",
            GCD.replace("b, a % b)", "a % b,b)  # so"),
            "the answer is the same code as before: nothing is changed.",
        ),
        ("Box", "class Box:\n    def put(self):\n        pass", "the answer leaves out size. Write the whole class."),
        ("", GCD, "the answer leaves out Box. Write the whole file."),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(name: str, answer: str, problem: str) -> None:
    with pytest.raises(Unusable) as unusable:
        replaced_function(SOURCE, location(name) if name else MODULE, f"```python\n{answer}\n```")
    assert str(unusable.value).startswith(problem)


LINE = "    return gcd(a % b, b)"


@pytest.mark.parametrize(
    "answer",
    [
        "    return gcd(b, a % b)",
        "return gcd(b, a % b)",
        "`return gcd(b, a % b)`",
        "```python\nreturn gcd(b, a % b)\n```",
        "Change it to `return gcd(b, a % b)`.",
        "Replace `return gcd(a % b, b)` by `return gcd(b, a % b)`.",
        "Corrected line: return gcd(b, a % b)",
        "The arguments must be swapped.\n\n    return gcd(b, a % b)\n",
        "8: return gcd(b, a % b)",
        "        return a\n    return gcd(b, a % b)",
    ],
)
def test_a_line_is_found_in_the_answer_and_fitted(answer: str) -> None:
    assert replaced_line(SOURCE, 8, answer) == RIGHT


def test_a_line_may_become_several_and_may_move() -> None:
    source = "def f(x):\n    for y in x:\n        g(y)\n        return y\n"
    assert replaced_line(source, 4, "    return y") == "def f(x):\n    for y in x:\n        g(y)\n    return y\n"
    several = replaced_line(source, 4, "if y:\n    return y\nreturn x")
    assert (
        several == "def f(x):\n    for y in x:\n        g(y)\n        if y:\n            return y\n        return x\n"
    )


@pytest.mark.parametrize("answer", ["return gcd(a % b, b)", "def (", "", LINE])
def test_a_line_that_changes_nothing_or_breaks_the_file_is_refused(answer: str) -> None:
    with pytest.raises(Unusable):
        replaced_line(SOURCE, 8, answer)


def block(search: str, replacement: str) -> str:
    return f"<<<<<<< SEARCH\n{search}\n=======\n{replacement}\n>>>>>>> REPLACE"


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        (LINE, "    return gcd(b, a % b)"),
        ("return gcd(a % b, b)", "return gcd(b, a % b)"),
        ("        return a   \n    return gcd(a % b, b)", "        return a\n    return gcd(b, a % b)"),
        ("  if b == 0:\n  return a\n  return gcd(a % b, b)", "  if b == 0:\n      return a\n  return gcd(b, a % b)"),
        ("a % b, b)", "b, a % b)"),
    ],
)
def test_the_lines_to_search_may_differ_in_whitespace(search: str, replacement: str) -> None:
    assert search_replace(SOURCE, f"Like so:\n```\n{block(search, replacement)}\n```") == RIGHT


def test_blocks_are_applied_one_after_the_other() -> None:
    answer = block("a = 1", "a = 2") + "\n" + block("b = 1", "")
    assert search_replace("a = 1\r\nb = 1\r\nc = 1\r\n", answer) == "a = 2\r\nc = 1\r\n"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("return gcd(b, a % b)", "the answer holds no edit. Write it as\n<<<<<<< SEARCH\n"),
        (block("", "x"), "a SEARCH block is empty. Copy the lines to replace from the file."),
        (block("qqqqq()", "x"), "the lines of a SEARCH block are not in the file, and nothing is like them. "),
        (
            block("    return gcd(a % b, a)", "x"),
            "the lines of a SEARCH block are not in the file. The nearest is line 8:\n",
        ),
        (block("", "x").replace("\n\n", "\n"), "a SEARCH block is empty. Copy the lines to replace from the file."),
        (block(LINE, "    return gcd("), "with the answer in place, the file does not parse: line 8: "),
        (block(LINE, LINE + "  # so"), "the answer is the same code as before: nothing is changed."),
    ],
)
def test_a_block_that_cannot_be_used_says_why(answer: str, problem: str) -> None:
    with pytest.raises(Unusable) as unusable:
        search_replace(SOURCE, answer)
    assert str(unusable.value).startswith(problem)


def test_a_block_that_fits_several_places_names_them() -> None:
    with pytest.raises(Unusable, match=r"occur 2 times in the file, at lines 1, 3\."):
        search_replace("x\ny\nx\n", block("x", "z"))


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


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(["gcd", "Box.size", "Box", ""]))
def test_any_answer_is_used_or_refused(answer: str, name: str) -> None:
    place = location(name) if name else MODULE
    for text in (answer, f"{GCD}\n{answer}", f"```\n{answer}", block(answer, answer)):
        for use in (
            lambda text: replaced_function(SOURCE, place, text),
            lambda text: replaced_line(SOURCE, 8, text),
            lambda text: search_replace(SOURCE, text),
        ):
            with suppress(Unusable):
                assert parsed(use(text)) is not None
