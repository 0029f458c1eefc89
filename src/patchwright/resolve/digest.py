"""The telling part of a failed command's output."""

import re

_SECTION = re.compile(r"^_{3,} .+ _{3,}$", re.MULTILINE)
_END = re.compile(r"^(?:=+ .* =+|_{3,} .+ _{3,})$", re.MULTILINE)


def digest(output: str, limit_chars: int) -> str:
    """The first failure that pytest reports, else the end of the output; at most `limit_chars`."""
    section = _first_failure(output)
    text = (section or output).strip("\n")
    if len(text) <= limit_chars:
        return text
    # The assertion and the exception stand at the end.
    return f"…{text[-limit_chars:]}"


def _first_failure(output: str) -> str:
    start = _SECTION.search(output)
    if start is None:
        return ""
    end = _END.search(output, start.end())
    return output[start.start() : end.start() if end else len(output)]
