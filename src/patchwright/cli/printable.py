"""Text from files and models, made safe to print: it may hold escape sequences that a terminal would obey."""


def printable(text: str) -> str:
    """`text` on as many lines as it has, with everything else that cannot be printed shown as an escape."""
    return "".join(char if char.isprintable() or char in "\n\t" else _escape(char) for char in text)


def printable_path(path: str) -> str:
    """A path on one line."""
    return "".join(char if char.isprintable() else _escape(char) for char in path)


def _escape(char: str) -> str:
    return char.encode("utf-8", "surrogateescape").decode("latin-1").encode("unicode_escape").decode()
