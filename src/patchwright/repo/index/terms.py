"""Search terms: the words of a text, each whole and in its parts, in lower case."""

import re
from collections.abc import Iterable
from functools import lru_cache

LONGEST_WORD = 64
"""Longer words are data, not names."""

_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_a-zA-Z]+|\d+")


def terms_of(text: str) -> list[str]:
    """In the order of the text, with repeats: `parseHTTPDate` gives parsehttpdate, parse, http, date."""
    return terms_of_words(_WORD.findall(text))


def terms_of_words(words: Iterable[str]) -> list[str]:
    return [term for word in words if len(word) <= LONGEST_WORD for term in _of_word(word)]


@lru_cache(maxsize=100_000)
def _of_word(word: str) -> tuple[str, ...]:
    """A single character says nothing, whether it is a word or a part."""
    whole = word.strip("_").lower()
    parts = [part.lower() for part in _PART.findall(word)]
    return tuple(term for term in dict.fromkeys([whole, *parts]) if len(term) > 1)
