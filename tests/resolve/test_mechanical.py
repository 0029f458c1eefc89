"""Mechanical edits: which slips they undo, and what holds for every one of them."""

import ast
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchwright.resolve.mechanical import mechanical_edits
from patchwright.resolve.sources import normalised
from patchwright.schema.resolution import Location

SEARCH = dedent(
    '''\
    """Searching."""
    import bisect


    class Finder:
        def find(self, xs, x, *, lo=0):
            """Where x is in xs."""
            hi = len(xs)
            while lo < hi:  # half open
                mid = (lo + hi) // 2
                if xs[mid] < x and not self.done:
                    lo = mid
                else:
                    hi = mid
            return lo if lo is not None else f"{hi!r:>{lo}}"

        def all(self):
            return [y for y in self.find([], 1) if y is not None]


    def naïve(größe, é=[]):
        é.append(größe - 1); print("ä", größe + é[0])
        for name, value in enumerate(é):
            if value == 0:
                return True
        text = """a
        b"""
        return max(text, größe, é)
    '''
)


def location(source: str, name: str, suspicious: tuple[int, ...] = ()) -> Location:
    node = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == name)
    return Location(
        path="m.py",
        name=name,
        kind="function",
        start_line=node.lineno,
        end_line=node.end_lineno or 0,
        score=1.0,
        suspicious_lines=suspicious,
    )


def edited(source: str, name: str = "f", limit: int = 1000) -> list[str]:
    return [edit.source for edit in mechanical_edits(source, location(source, name), limit)]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("while lo < hi:\n        lo += 1", "while lo <= hi:\n        lo += 1"),
        ("hi ^= hi - 1", "hi &= hi - 1"),
        ("return xs[lo]", "return xs[lo + 1]"),
        ("return range(lo, hi)", "return range(lo, hi + 1)"),
        ("return xs * len(xs)", "return xs * (len(xs) - 1)"),
        ("return f(lo % hi, hi)", "return f(hi, lo % hi)"),
        ("return xs[lo, hi]", "return xs[hi, lo]"),
        ("return xs / (lo + hi)", "return (lo + hi) / xs"),
        ("return lo - 1 + hi", "return lo + hi"),
        ("return any(xs)", "return all(xs)"),
        ("return min(xs)", "return max(xs)"),
        ("return hi - lo + hi", "return hi - lo + lo"),
        ("return lo.low + hi.high", "return lo.high + hi.high"),
        ("return xs[lo] - xs[hi]", "return xs[lo] - xs[lo]"),
        ("return f(xs[lo])", "return f(hi)"),
        ("xs.append(lo)", "xs.extend(lo)"),
        ("return True", "return False"),
        ("return hi + 2", "return hi + 3"),
        ("return 0", "return lo"),
        ("yield f(xs)", "yield from f(xs)"),
        ("yield f(xs)", "yield xs"),
        ("if not lo:\n        return hi", "if lo:\n        return hi"),
        ("if lo < 1:\n        return hi", "if not (lo < 1):\n        return hi"),
        ("if lo and hi:\n        return hi", "if lo or hi:\n        return hi"),
        ("if lo and hi:\n        return hi", "if lo:\n        return hi"),
        ("if lo.x == 1:\n        return hi", "if lo is None or lo.x == 1:\n        return hi"),
        ("for x in xs:\n        hi(x)\n        return x", "for x in xs:\n        hi(x)\n    return x"),
        ("for x in xs:\n        hi(x)\n    lo(x)", "for x in xs:\n        hi(x)\n        lo(x)"),
        ("lo()\n    hi()", "lo()\n    return hi()"),
        ("lo = hi", "lo = hi\n    return lo"),
        ("lo()\n    hi()", "hi()"),
        ("for x in xs:\n        break", "for x in xs:\n        continue"),
        ("return xs.get(lo)", "if xs is None:\n        return None\n    return xs.get(lo)"),
        ("return xs[0]", "if not xs:\n        return xs\n    return xs[0]"),
    ],
)
def test_a_common_slip_is_undone(wrong: str, right: str) -> None:
    head = "def f(xs, lo, hi):\n    "
    assert f"{head}{right}\n" in edited(f"{head}{wrong}\n")


def test_a_default_that_calls_share_becomes_a_new_one_for_each() -> None:
    source = "def f(x, xs=[]):\n    xs.append(x)\n    return xs\n"
    right = "def f(x, xs=None):\n    if xs is None:\n        xs = []\n    xs.append(x)\n    return xs\n"
    assert right in edited(source)


def test_an_edit_says_where_and_what_it_changes() -> None:
    source = "x = 1\ndef f(a):\n    return a < 1"
    first = mechanical_edits(source, location(source, "f"), 1)[0]
    assert (first.line, first.description, first.source) == (3, "`<` → `<=`", "x = 1\ndef f(a):\n    return a <= 1")


@pytest.mark.parametrize("name", ["find", "naïve", "all"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_edit_parses_and_differs_from_all_others(name: str, end: str) -> None:
    source = SEARCH.replace("\n", end)
    edits = edited(source, name)
    keys = {normalised(edit) for edit in edits}
    assert len(keys) == len(edits) > 5
    assert normalised(source) not in keys
    assert all(ast.parse(edit) for edit in edits)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_is_outside_of_the_location_stays_byte_for_byte(end: str) -> None:
    source = SEARCH.replace("\n", end)
    before, after = source[: source.index("    def find")], source[source.index(f"{end}    def all") :]
    assert all(edit.startswith(before) and edit.endswith(after) for edit in edited(source, "find"))
    assert all(end == "\n" or edit.count("\n") == edit.count("\r\n") for edit in edited(source, "find"))


def test_columns_count_bytes_but_edits_count_characters() -> None:
    source = 'def f(é, ü):\n    return "äöü", é < ü\n'
    assert 'def f(é, ü):\n    return "äöü", é <= ü\n' in edited(source)


def test_the_order_is_the_same_every_time_and_a_limit_only_cuts_it() -> None:
    all_edits = edited(SEARCH, "find")
    assert edited(SEARCH, "find", 10) == all_edits[:10] == edited(SEARCH, "find")[:10]


def test_suspicious_lines_come_first() -> None:
    lines = [edit.line for edit in mechanical_edits(SEARCH, location(SEARCH, "find", (12, 9)), 1000)]
    changes = [line in {12, 9} for line in lines]
    assert changes == sorted(changes, reverse=True)
    assert lines[0] == 9 or lines[0] == 12
    assert set(lines) > {9, 12}


def test_no_line_uses_up_the_limit() -> None:
    source = "def f(a, b):\n    g(a, b, a + b, a - b, a[b], a < b, b < a, [a], [b])\n    return a < b\n"
    lines = [edit.line for edit in mechanical_edits(source, location(source, "f"), 20)]
    assert {2, 3} <= set(lines)


def test_what_is_not_python_has_no_edits() -> None:
    place = Location(path="m.js", name="f", kind="function", start_line=1, end_line=3, score=1.0)
    assert mechanical_edits("function f() {\n  return 1;\n}\n", place, 10) == ()


def test_a_module_is_edited_outside_of_its_functions() -> None:
    source = "LIMIT = 3\n\n\ndef f():\n    return 5\n"
    place = Location(path="m.py", name="", kind="module", start_line=1, end_line=5, score=1.0)
    assert {edit.line for edit in mechanical_edits(source, place, 100)} == {1}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "x = y",
                "x += y[0]",
                "if x < y:\n        y = x",
                "for z in x:\n        y.append(z)\n        x -= 1",
                "while True:\n        break",
                "return x",
                "x = [i for i in y if i]",
                "return not (x and y)",
                "x = f'{x} {y + 1}'",
                "x; y",
                "try:\n        x()\n    except E as e:\n        y(e)\n    finally:\n        x = 0",
                "x = '''\n  a\n'''",
                "return (x +\n        y, 3)",
                "with x as y: y()",
                "x = lambda z: z + y",
            ]
        ),
        min_size=1,
        max_size=5,
    )
)
def test_edits_of_any_function_parse_and_change_it(statements: list[str]) -> None:
    source = "def f(x, y=None):\n    " + "\n    ".join(statements)
    edits = edited(source, limit=60)
    keys = {normalised(edit) for edit in edits}
    assert len(keys) == len(edits)
    assert normalised(source) not in keys
    assert all(ast.parse(edit) for edit in edits)
