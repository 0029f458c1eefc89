"""search: ripgrep, run inside the sandbox."""

import re
import shlex
import shutil
import sysconfig
from pathlib import Path

from pydantic import BaseModel, Field

from patchwright.errors import ToolError
from patchwright.sandbox.base import CommandResult, Sandbox
from patchwright.tools.base import Arguments, Observation
from patchwright.tools.matches import Matches, grouped, read_matches
from patchwright.tools.paths import existing
from patchwright.tools.text import counted

_TIMEOUT_S = 60.0
_OUTPUT_BYTES = 1_000_000
_OPTIONS = (
    "--no-config --no-messages --no-require-git --color=never --no-heading --with-filename --line-number --null "
    "--stats --sort=path --max-columns=1000 --max-columns-preview"
)
_REASON = re.compile(r"^error: (.*)", re.MULTILINE)


class SearchArguments(Arguments):
    pattern: str = Field(description="Regular expression.")
    path: str = Field(".", description="Directory or file to search.")
    glob: str | None = Field(None, description="Only files like this, e.g. *.py.")


class Search:
    """Searches; observations hold at most `limit_chars` characters. `ripgrep` is its path inside the sandbox."""

    name = "search"
    arguments: type[BaseModel] = SearchArguments

    def __init__(self, sandbox: Sandbox, limit_chars: int, ripgrep: Path | None = None) -> None:
        self.sandbox = sandbox
        self.limit_chars = limit_chars
        self.ripgrep = ripgrep or own_ripgrep()

    async def run(self, arguments: SearchArguments) -> Observation:
        """Raises ToolError when the path is missing, ripgrep refuses the call or isn't there."""
        await existing(self.sandbox, arguments.path)
        result = await self._ripgrep(arguments)
        note = ""
        if result.exit_code == 2 and "regex" in result.output.split("\n")[0]:
            reason = _REASON.search(result.output)
            note = (
                f"The pattern is no valid regex ({reason[1] if reason else 'parse error'}); searched as literal text."
            )
            result = await self._ripgrep(arguments, "--fixed-strings")
        self._check(result)
        matches = read_matches(result.output, self.sandbox.root)
        parts = [note, grouped(matches, self.limit_chars - 300) or _nothing(matches, arguments)]
        return Observation(text="\n".join(filter(None, parts)))

    async def _ripgrep(self, arguments: SearchArguments, *options: str) -> CommandResult:
        if "\n" in arguments.pattern or r"\n" in arguments.pattern:
            options = (*options, "--multiline")
        if arguments.glob:
            options = (*options, "--glob", arguments.glob)
        own = shlex.quote(str(self.ripgrep))
        words = shlex.join([*options, "-e", arguments.pattern, "--", arguments.path])
        # A container has its own disk: there, ours is missing and its own may be there.
        command = f'rg={own}; [ -x "$rg" ] || rg=rg; "$rg" {_OPTIONS} {words}'
        return await self.sandbox.run(command, timeout_s=_TIMEOUT_S, output_limit_bytes=_OUTPUT_BYTES, fresh=True)

    def _check(self, result: CommandResult) -> None:
        if result.timed_out:
            raise ToolError(f"the search took more than {_TIMEOUT_S:g} s; narrow it with path or glob")
        if result.exit_code in (126, 127):
            raise ToolError("there is no ripgrep in this sandbox; use `grep -rnE` with execute_bash")
        if result.exit_code not in (0, 1) and "files searched" not in result.output:
            raise ToolError(f"ripgrep: {result.output.strip().removeprefix('rg: ')[:300]}")


def own_ripgrep() -> Path:
    """The one in our environment first: it is pinned, and the sandbox shows it where it hides the user's home."""
    own = Path(sysconfig.get_path("scripts")) / "rg"
    return own if own.exists() else Path(shutil.which("rg") or "rg")


def _nothing(matches: Matches, arguments: SearchArguments) -> str:
    limits = f" like {arguments.glob}" if arguments.glob else ""
    where = "" if arguments.path == "." else f" in {arguments.path}"
    return f"no match in {counted(matches.files_searched, 'file')}{limits}{where}"
