"""search: ripgrep over the work tree."""

import shlex
import shutil
import sys
from pathlib import Path

from pydantic import BaseModel, Field

from patchwright.errors import ToolError
from patchwright.sandbox.base import CommandResult, Sandbox
from patchwright.tools.base import Arguments, Observation
from patchwright.tools.paths import existing
from patchwright.tools.text import bounded, counted

TIMEOUT_S = 60.0
MATCHES_PER_FILE = 50
NOTHING_FOUND = 1
"""ripgrep's exit code when it ran well and nothing matched; 2 is an error."""


class SearchArguments(Arguments):
    pattern: str = Field(min_length=1, description="The regular expression.")
    path: str = Field(".", description="Where to search: a directory or a file.")
    glob: str | None = Field(None, description="Only files that match, such as *.py.")


class Search:
    """Runs ripgrep inside the sandbox. An observation holds at most `limit_chars` characters."""

    name = "search"
    arguments: type[BaseModel] = SearchArguments

    def __init__(self, sandbox: Sandbox, limit_chars: int, ripgrep: Path) -> None:
        self._sandbox = sandbox
        self._limit_chars = limit_chars
        self._ripgrep = ripgrep

    async def run(self, arguments: SearchArguments) -> Observation:
        await existing(self._sandbox, arguments.path)
        result = await self._search(arguments, literal=False)
        note = ""
        if result.exit_code > NOTHING_FOUND:
            result = await self._search(arguments, literal=True)
            note = "(not a valid regular expression, so searched as plain text)\n"
        if result.exit_code == NOTHING_FOUND:
            return Observation(text=f"{note}no match in {counted(await self._searched(arguments), 'file')}")
        if result.exit_code > NOTHING_FOUND:
            raise ToolError(f"the search failed: {result.output.strip()[:500]}")
        return Observation(text=bounded(note + result.output.rstrip(), self._limit_chars))

    async def _search(self, arguments: SearchArguments, *, literal: bool) -> CommandResult:
        options = ["--heading", "--line-number", "--color=never", "--sort=path", "--max-columns=300"]
        options += ["--max-columns-preview", f"--max-count={MATCHES_PER_FILE}", "--hidden", "--glob=!.git"]
        options += ["--fixed-strings"] if literal else []
        return await self._ripgrep_run([*options, *_glob(arguments), "-e", arguments.pattern, "--", arguments.path])

    async def _searched(self, arguments: SearchArguments) -> int:
        options = ["--files", "--hidden", "--glob=!.git", *_glob(arguments), "--", arguments.path]
        return (await self._ripgrep_run(options)).output.count("\n")

    async def _ripgrep_run(self, arguments: list[str]) -> CommandResult:
        command = shlex.join([str(self._ripgrep), *arguments])
        return await self._sandbox.run(
            command, timeout_s=TIMEOUT_S, output_limit_bytes=4 * self._limit_chars + 65_536, fresh=True
        )


def find_ripgrep() -> Path:
    """The one beside our Python, which the package installs, else the system's. Raises ToolError."""
    beside = Path(sys.prefix) / "bin" / "rg"
    found = beside if beside.is_file() else shutil.which("rg")
    if found is None:
        raise ToolError("ripgrep is not installed", hint="pip install ripgrep")
    return Path(found)


def _glob(arguments: SearchArguments) -> list[str]:
    return [f"--glob={arguments.glob}"] if arguments.glob else []
