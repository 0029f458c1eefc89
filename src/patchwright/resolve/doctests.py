"""Doctests in docstrings: of a module that is the program, what is evidence all the same."""

import ast
import doctest
from collections import Counter

from patchwright.resolve.sources import DEFINITIONS, parsed

Examples = tuple[tuple[str, str], ...]
"""The examples of one docstring in order, each as its statement and the output that it expects."""

_PARSER = doctest.DocTestParser()


def changes_examples(before: str, after: str) -> bool:
    """Whether an example is gone, changed or added to others, which it may change; new docstrings do not count."""
    return bool(_examples(before) - _examples(after))


def _examples(source: str) -> Counter[Examples]:
    """By docstring; nothing where the text is no Python."""
    nodes = ast.walk(parsed(source) or ast.Module([], []))
    documented = (node for node in nodes if isinstance(node, (ast.Module, *DEFINITIONS)))
    texts = (ast.get_docstring(node, clean=False) for node in documented)
    return Counter(filter(None, (_of_docstring(text) for text in texts if text)))


def _of_docstring(text: str) -> Examples:
    try:
        return tuple((example.source, example.want) for example in _PARSER.get_examples(text))
    except ValueError:  # a prompt without its space
        return ()
