"""execute_bash: a command in the sandbox's shell. Name and fields are those of OpenHands' CodeAct agent."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from patchwright.sandbox.base import CommandResult, Sandbox
from patchwright.tools.base import Arguments, Observation
from patchwright.tools.paths import short
from patchwright.tools.text import bounded, counted, printable

DEFAULT_TIMEOUT_S = 120.0
LONGEST_TIMEOUT_S = 1200.0

_NO_INPUT = (
    "nothing was run: every command is run to its end, so no process is waiting for input. "
    "Run a command with is_input=false; give a program its input with a pipe or a here-document."
)


def _spelt(value: object) -> object:
    return str(value).lower() if isinstance(value, (bool, str)) else value


class BashArguments(Arguments):
    command: str = Field(description="The command; several lines or `a && b` are fine.")
    is_input: Annotated[Literal["true", "false"], BeforeValidator(_spelt)] = Field(
        "false", description="Always false: there is no process to type to."
    )
    timeout: float | None = Field(None, gt=0, description="Seconds until it is stopped; 120 if not given.")


class ExecuteBash:
    """Runs commands; observations hold at most `limit_chars` characters of output and a few lines about it."""

    name = "execute_bash"
    arguments: type[BaseModel] = BashArguments

    def __init__(self, sandbox: Sandbox, limit_chars: int, default_timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self.sandbox = sandbox
        self.limit_chars = limit_chars
        self.default_timeout_s = default_timeout_s
        self._cwd = str(sandbox.root)

    async def run(self, arguments: BashArguments) -> Observation:
        """A command that fails is an observation like any other; only one that wasn't run is marked failed."""
        if arguments.is_input == "true":
            return Observation(text=_NO_INPUT, failed=True)
        timeout_s = min(arguments.timeout or self.default_timeout_s, LONGEST_TIMEOUT_S)
        # A character is at most four bytes: what we show is never what the sandbox had to leave out.
        limit_bytes = 4 * self.limit_chars + 4096
        result = await self.sandbox.run(arguments.command, timeout_s=timeout_s, output_limit_bytes=limit_bytes)
        notes = [_ending(result, timeout_s), *self._move(result.cwd)]
        return Observation(text=f"{self._output(result)}\n" + "\n".join(f"[{note}]" for note in notes))

    def _output(self, result: CommandResult) -> str:
        omitted = counted(result.omitted_bytes, "byte") if result.omitted_bytes else ""
        return bounded(printable(result.output).rstrip(), self.limit_chars, omitted) or "(no output)"

    def _move(self, cwd: str) -> list[str]:
        if cwd == self._cwd:
            return []
        self._cwd = cwd
        where = short(PurePosixPath(cwd), self.sandbox.root)
        return ["now in the work tree's root" if where == "." else f"now in {where}"]


def _ending(result: CommandResult, timeout_s: float) -> str:
    if not result.timed_out:
        return f"exit code {result.exit_code}"
    return (
        f"stopped after {timeout_s:g} s, before its end (exit code {result.exit_code}). If it needs longer, give a "
        "larger timeout; if it waits for input or serves, give it input or put it in the background"
    )
