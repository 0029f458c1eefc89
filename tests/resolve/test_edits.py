"""Answers as edits: what of an answer is taken, how it is fitted, and what a model is told when it can't be used."""

import ast
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchwright.resolve.edits import Unusable, replaced_function, replaced_line
from patchwright.resolve.sources import parsed
from patchwright.schema.resolution import Location

from .numbers import GCD, LINE, RIGHT, SOURCE, block


def location(name: str, source: str = SOURCE) -> Location:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name.rpartition(".")[2]:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            last = node.end_lineno or 0
            return Location(path="m.py", name=name, kind=kind, start_line=first, end_line=last, score=1.0)
    raise AssertionError(name)


MODULE = Location(path="m.py", name="", kind="module", start_line=1, end_line=17, score=1.0)


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
        ("gcd", GCD.replace("b, a % b", "a % b, b"), "the answer is the same code as before."),
        (
            "gcd",
            GCD.replace("b, a % b)", "a % b,b)  # so"),
            "the answer is the same code as before.",
        ),
        ("Box", "class Box:\n    def put(self):\n        pass", "the answer leaves out size. Write the whole class."),
        ("", GCD, "the answer leaves out Box. Write the whole file."),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(name: str, answer: str, problem: str) -> None:
    with pytest.raises(Unusable) as unusable:
        replaced_function(SOURCE, location(name) if name else MODULE, f"```python\n{answer}\n```")
    assert str(unusable.value).startswith(problem)


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


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(["gcd", "Box.size", "Box", ""]))
def test_any_answer_is_used_or_refused(answer: str, name: str) -> None:
    place = location(name) if name else MODULE
    for text in (answer, f"{GCD}\n{answer}", f"```\n{answer}", block(answer, answer)):
        for use in (
            lambda text: replaced_function(SOURCE, place, text),
            lambda text: replaced_line(SOURCE, 8, text),
        ):
            with suppress(Unusable):
                assert parsed(use(text)) is not None


def test_an_answer_that_leaves_code_dead_is_sent_back() -> None:
    source = "def f(x):\n    if x:\n        x += 1\n    return x\n"
    dead = "```python\ndef f(x):\n    if x:\n        raise ValueError(x)\n        x += 1\n    return x\n```"
    with pytest.raises(Unusable, match="can never run"):
        replaced_function(source, location("f", source), dead)
    line = replaced_line(source, 3, "```python\n        raise ValueError(x)\n        x += 1\n```")
    assert line == source.replace("x += 1", "raise ValueError(x)")


def test_code_that_was_dead_before_does_not_count_against_an_answer() -> None:
    source = "def f():\n    return 1\n    yield\n"
    assert "return 2" in replaced_function(source, location("f", source), "def f():\n    return 2\n    yield")
