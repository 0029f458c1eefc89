"""What an issue says that a program does, and what it should do instead."""

import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from string import Template
from typing import NamedTuple

from patchwright.resolve.issue import CodeBlock, IssueFacts

_WANTED = re.compile(
    r"\b(should|expect\w*|correct(ly)?|desired|supposed|want(ed)?|ought|would like|instead of)\b", re.IGNORECASE
)
_RESULT = re.compile(
    r"\b(print|output|result|return|get|got|fail|rais|see|shows|should|expect|instead|actual)", re.IGNORECASE
)
"""What stands before a block that is what a program did; and before many a program."""
_STATEMENT = re.compile(r"^(import|from|def|class|print|with|for|assert)\b", re.MULTILINE)
_PROGRAM = Template(files("patchwright.resolve").joinpath("expectation_program.txt").read_text(encoding="utf-8"))


class Expectation(NamedTuple):
    """A program of the issue. What it comes to is what it prints, and after that the exception it ends with, as the
    last line of a traceback has it."""

    program: str
    seen: str
    wanted: str

    @property
    def script(self) -> str:
        """A program that ends with an AssertionError unless the issue's comes to what is wanted."""
        return _PROGRAM.substitute(program=repr(self.program), wanted=repr(self.wanted))

    def is_what_was_seen(self, failure: str) -> bool:
        """Whether the script's failure is the one that the issue tells of."""
        return f"the program came to {self.seen!r}, not to " in failure


def expectations_of(facts: IssueFacts) -> Iterator[Expectation]:
    """Each program that is followed by what it does and by what it should do, both in blocks of their own. What is
    not shown is nothing printed."""
    blocks = facts.code_blocks
    python = [at for at, block in enumerate(blocks) if block.kind == "python"]
    programs = [at for at in python if at == python[0] or not _is_result(blocks[at])]
    for at, end in pairwise([*programs, len(blocks)]):
        results = [block for block in blocks[at + 1 : end] if block.kind != "shell"]
        wanted = [block for block in results if _WANTED.search(block.lead)]
        seen = [block for block in results if block not in wanted]
        if wanted:
            yield Expectation(blocks[at].text, _joined(seen), _joined(wanted))


def _is_result(block: CodeBlock) -> bool:
    """What a program printed may read like Python, too."""
    return bool(_RESULT.search(block.lead)) and not _STATEMENT.search(block.text)


def _joined(blocks: list[CodeBlock]) -> str:
    """Without the ends of lines that nobody sees; a traceback is its last line."""
    lines = [line.rstrip() for block in blocks for line in _result(block.text.strip())]
    return "\n".join(lines)


def _result(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[-1:] if lines and lines[0].startswith("Traceback (most recent call last)") else lines
