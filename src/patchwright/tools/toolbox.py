"""The tools of a run, by name, and the one place where a raw call becomes arguments."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from patchwright.errors import ToolError
from patchwright.sandbox.base import Sandbox
from patchwright.schema.messages import ToolCall, ToolSpec
from patchwright.tools.base import Observation, Tool, spec_of
from patchwright.tools.execute_bash import ExecuteBash
from patchwright.tools.finish import Finish
from patchwright.tools.plan import Plan
from patchwright.tools.search import Search, find_ripgrep
from patchwright.tools.str_replace_editor import StrReplaceEditor
from patchwright.tools.think import Think

Factory = Callable[[Sandbox, int, float], Tool[Any]]
"""Takes the sandbox, the characters that an observation may hold, and the seconds that a command may run."""

TOOLS: dict[str, Factory] = {
    ExecuteBash.name: ExecuteBash,
    StrReplaceEditor.name: lambda sandbox, chars, command_time_s: StrReplaceEditor(sandbox, chars),
    Search.name: lambda sandbox, chars, command_time_s: Search(sandbox, chars, find_ripgrep()),
    Think.name: lambda sandbox, chars, command_time_s: Think(),
    Plan.name: lambda sandbox, chars, command_time_s: Plan(chars),
    Finish.name: lambda sandbox, chars, command_time_s: Finish(),
}


class MalformedCall(ToolError):
    """A call that names no tool or whose arguments cannot be read."""


class Toolbox:
    """Calls tools by name."""

    def __init__(self, tools: Sequence[Tool[Any]]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.specs: tuple[ToolSpec, ...] = tuple(spec_of(tool) for tool in tools)

    async def call(self, call: ToolCall) -> Observation:
        """Raises MalformedCall, and ToolError when the call cannot be carried out."""
        tool = self._tools.get(call.name)
        if tool is None:
            raise MalformedCall(f"there is no tool {call.name!r}. Tools: {', '.join(self._tools)}")
        return await tool.run(_arguments(tool, call))


def open_toolbox(names: Sequence[str], sandbox: Sandbox, limit_chars: int, command_time_s: float) -> Toolbox:
    """The named tools over a running sandbox."""
    return Toolbox([TOOLS[name](sandbox, limit_chars, command_time_s) for name in names])


def _arguments(tool: Tool[Any], call: ToolCall) -> BaseModel:
    try:
        return tool.arguments.model_validate_json(call.arguments or "{}")
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors(include_url=False)[:3])
        raise MalformedCall(f"{call.name} was not called: {problems}") from None


def _problem(detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "missing":
            return f"the argument {where} is missing"
        case "extra_forbidden":
            return f"there is no argument {where}"
        case "json_invalid":
            return f"the arguments are not valid JSON ({detail['msg']})"
        case _:
            return f"{where}: {detail['msg'].lower()}"
