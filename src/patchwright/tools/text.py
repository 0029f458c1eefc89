"""Text as the policy sees it: bounded, with numbered lines, without what only a terminal understands."""

import re
from collections.abc import Sequence

LINE_LIMIT_CHARS = 500
"""Longer lines are cut when they are shown: one line of minified code would take the place of everything else."""

# ECMA-48: control sequences, operating system commands (titles, links), and the short escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def bounded(text: str, limit_chars: int, already_omitted: str = "") -> str:
    """`text` in at most `limit_chars` characters: head, tail, and a line between them that says what is missing.

    `already_omitted` names what had been cut out of the middle of `text` before, for that line.
    """
    if len(text) <= limit_chars and not already_omitted:
        return text
    half = min(max(0, limit_chars - 100), len(text)) // 2
    head = _whole_lines(text[:half])
    tail = _whole_lines(text[len(text) - half :], at_end=True)
    missing = f"{len(text) - len(head) - len(tail)} characters"
    if already_omitted:
        missing += f" and {already_omitted}"
    return f"{head.rstrip()}\n[… {missing} left out …]\n{tail.lstrip(chr(10))}"


def numbered(lines: Sequence[str], first: int = 1) -> str:
    """Lines as `cat -n` shows them, over-long ones cut."""
    return "\n".join(f"{number:6}\t{cut(line)}" for number, line in enumerate(lines, first))


def numbered_head(lines: Sequence[str], first: int, limit_chars: int) -> tuple[str, int]:
    """As many of the numbered lines as fit into `limit_chars`, at least one, and how many they are."""
    shown: list[str] = []
    used = 0
    for number, line in enumerate(lines, first):
        shown.append(numbered([line], number))
        used += len(shown[-1]) + 1
        if used > limit_chars and len(shown) > 1:
            shown.pop()
            break
    return "\n".join(shown), len(shown)


def cut(line: str, limit_chars: int = LINE_LIMIT_CHARS) -> str:
    """The beginning of an over-long line, and how much more there is."""
    if len(line) <= limit_chars:
        return line
    return f"{line[:limit_chars]}[… {len(line) - limit_chars} more characters in this line]"


def printable(output: str) -> str:
    """A command's output as it would stand on a terminal: no escapes, progress bars in their last state."""
    text = _ESCAPES.sub("", output).replace("\r\n", "\n")
    return _CONTROLS.sub("", _OVERWRITTEN.sub("", text))


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `2 matches`."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def _whole_lines(text: str, *, at_end: bool = False) -> str:
    """Without the line that the cut went through, unless that would cost more than a fifth of the text."""
    if at_end:
        start = text.find("\n") + 1
        return text[start:] if start <= len(text) // 5 else text
    end = text.rfind("\n") + 1
    return text[:end] if end >= len(text) * 4 // 5 else text
