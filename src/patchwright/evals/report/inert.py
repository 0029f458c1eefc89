"""Text of models, tools and repositories, made safe to show: what it says is seen, and nothing in it acts."""

KEPT_HEAD_CHARS = 80_000
KEPT_TAIL_CHARS = 20_000


def inert(text: str) -> str:
    """`text` with everything that cannot be printed shown as an escape: terminal sequences, zero-width characters and
    those that turn the direction of writing, which can make a line read as what it is not (CVE-2021-42574)."""
    return "".join(char if char.isprintable() or char in "\n\t" else _escape(char) for char in text)


def inert_line(text: str) -> str:
    """The same on one line."""
    return inert(text).replace("\n", "\\n")


def bounded(text: str) -> str:
    """At most 100,000 characters of it: the beginning, the end, and how much is missing between them."""
    missing = len(text) - KEPT_HEAD_CHARS - KEPT_TAIL_CHARS
    if missing <= 0:
        return text
    return f"{text[:KEPT_HEAD_CHARS]}\n… {missing:,} characters are not shown here …\n{text[-KEPT_TAIL_CHARS:]}"


def _escape(char: str) -> str:
    code = ord(char)
    if char == "\r":
        return "\\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
