"""The examples of a doctest stay as they are, and all else of a module may change."""

import pytest

from patchwright.resolve.doctests import changes_examples

MODULE = '''"""Sums.

>>> add(1, 1)
2
"""


def add(a, b):
    """Add.

    >>> c = 3
    >>> add(2, c)
    5
    """
    return a - b
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    5\n", "    -1\n"),
        ("add(2, c)", "add(8, -c)"),
        ("    >>> c = 3\n", "    >>> c = 3\n    >>> add = sum\n"),
        ("    >>> add(2, c)\n    5\n", ""),
        (">>> add(1, 1)\n2\n", ">>> add(1, 1)  # doctest: +SKIP\n2\n"),
        ("    >>> c = 3", "    >>>c = 3"),
        ("return a - b", "return a -"),
    ],
)
def test_an_example_that_is_not_as_it_was_is_changed(old: str, new: str) -> None:
    assert changes_examples(MODULE, MODULE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a - b", "a + b"),
        ("Add.", "Add two numbers."),
        (
            "    return a - b\n",
            '    return a + b\n\n\ndef double(a):\n    """Twice.\n\n    >>> double(2)\n    4\n    """\n',
        ),
    ],
)
def test_the_program_and_new_docstrings_are_no_examples(old: str, new: str) -> None:
    assert not changes_examples(MODULE, MODULE.replace(old, new))


def test_what_is_no_python_has_none() -> None:
    assert not changes_examples("not Python >>> 1", "")
