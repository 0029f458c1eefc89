"""What the model is asked, from the templates in `prompts/`. Each request begins with the same words as the last.

The part that differs comes last, so that the engine reads the long part once.
"""

import re
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from patchwright.resolve.digest import digest
from patchwright.resolve.sources import lines_of
from patchwright.schema.messages import AssistantMessage, Message, SystemMessage, UserMessage
from patchwright.schema.resolution import Location

ISSUE_CHARS = 6_000
CODE_CHARS = 8_000
HEADER_LINES = 40
FAILURE_CHARS = 1_500

_PLACE = re.compile(r"\{(\w+)\}")
_LANGUAGES = {".py": "python", ".js": "javascript", ".ts": "typescript", ".rs": "rust", ".go": "go", ".java": "java"}


class Fault:
    """An issue, a place where its cause may be, and how it shows: what all requests about it begin with."""

    def __init__(self, issue: str, location: Location, source: str, failure: str) -> None:
        self.location = location
        self.source = source
        self._issue = _sendable(issue)
        self._failure = _sendable(failure)
        self._name = f"`{location.name}`" if location.name else location.path
        self._language = _LANGUAGES.get(PurePosixPath(location.path).suffix, "")

    def rewrite(self, failed: tuple[str, str] | None = None, *, explained: bool = False) -> tuple[Message, ...]:
        """Asks for the whole definition, alone or with words before it. `failed`: an attempt, and how it failed."""
        template = "explain" if explained else "rewrite"
        return self._request(self._tried(failed) + self._filled(template, name=self._name))

    def line(self, number: int) -> tuple[Message, ...]:
        """Asks for one line of the file, by its number."""
        line = _sendable(lines_of(self.source)[number - 1].strip())
        return self._request(self._filled("line", name=self._name, line=line))

    def replace(self, failed: tuple[str, str] | None = None) -> tuple[Message, ...]:
        """Asks for a SEARCH/REPLACE block: for what is too long to write again."""
        return self._request(self._tried(failed) + self._filled("replace"))

    def reproduce(self) -> tuple[Message, ...]:
        """Asks for a program that fails because of the issue."""
        return self._request(self._filled("reproduce"))

    def _request(self, task: str) -> tuple[Message, ...]:
        fault = self._filled(
            "fault",
            issue=shortened(self._issue, ISSUE_CHARS),
            path=self.location.path,
            code=_sendable(shown_code(self.source, self.location)),
            failure=f"\nIt fails like this:\n\n{digest(self._failure, FAILURE_CHARS)}\n" if self._failure else "",
        )
        return (SystemMessage(content=_template("system").strip()), UserMessage(content=fault + task))

    def _tried(self, failed: tuple[str, str] | None) -> str:
        if failed is None:
            return ""
        attempt, failure = failed
        return self._filled("failed", attempt=_sendable(attempt), failure=digest(_sendable(failure), FAILURE_CHARS))

    def _filled(self, template: str, **parts: str) -> str:
        parts["language"] = self._language
        return _PLACE.sub(lambda place: parts[place[1]], _template(template))


def repaired(messages: tuple[Message, ...], answer: str, problem: str) -> tuple[Message, ...]:
    """The same request once more, after an answer that could not be used."""
    again = _template("unusable").replace("{problem}", problem)
    return (*messages, AssistantMessage(content=answer), UserMessage(content=again))


def shown_code(source: str, location: Location) -> str:
    """The whole file if it is short, else its head and the lines of the location."""
    if len(source) <= CODE_CHARS:
        return source.strip("\n")
    lines = lines_of(source)
    start, end = location.start_line - 1, location.end_line
    if not location.name:
        return shortened(source, CODE_CHARS)
    head = lines[: min(HEADER_LINES, start)]
    return shortened("\n".join([*head, "# …", *lines[start:end]]), CODE_CHARS)


def shortened(text: str, limit_chars: int) -> str:
    """`text`, or its beginning and end."""
    if len(text) <= limit_chars:
        return text
    half = limit_chars // 2
    return f"{text[:half]}\n…\n{text[-half:]}"


def _sendable(text: str) -> str:
    """Without what stands for bytes that are no UTF-8: JSON has no place for it."""
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _template(name: str) -> str:
    return files("patchwright.resolve").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")
