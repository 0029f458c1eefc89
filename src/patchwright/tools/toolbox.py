"""The tools of a run: what there is, what the policy is told of them, and how a call reaches its tool."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from patchwright.errors import ConfigError
from patchwright.sandbox.base import Sandbox
from patchwright.schema.messages import ToolCall, ToolSpec
from patchwright.tools.arguments import MalformedCall, read_arguments
from patchwright.tools.base import Observation, Tool, spec_of
from patchwright.tools.edit import Edit
from patchwright.tools.execute_bash import ExecuteBash
from patchwright.tools.finish import Finish
from patchwright.tools.plan import Plan
from patchwright.tools.search import Search
from patchwright.tools.str_replace_editor import StrReplaceEditor
from patchwright.tools.think import Think

__all__ = ["TOOLS", "MalformedCall", "Toolbox", "open_toolbox"]

AnyTool = Tool[Any]

TOOLS: dict[str, Callable[[Sandbox, int], AnyTool]] = {
    "execute_bash": ExecuteBash,
    "str_replace_editor": StrReplaceEditor,
    "edit": Edit,
    "search": Search,
    "think": lambda sandbox, limit_chars: Think(),
    "plan": lambda sandbox, limit_chars: Plan(limit_chars),
    "finish": lambda sandbox, limit_chars: Finish(),
}
"""How each tool is made: from the sandbox and the most characters that one observation may hold."""


def open_toolbox(names: Iterable[str], sandbox: Sandbox, limit_chars: int) -> "Toolbox":
    """Raises ConfigError for a name that isn't in TOOLS."""
    names = tuple(names)
    if unknown := [name for name in names if name not in TOOLS]:
        raise ConfigError(f"there is no tool {unknown[0]!r}", hint=f"tools: {', '.join(TOOLS)}")
    return Toolbox(TOOLS[name](sandbox, limit_chars) for name in names)


class Toolbox:
    """Carries calls to its tools, whose names are unique."""

    def __init__(self, tools: Iterable[AnyTool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._specs = {name: spec_of(tool) for name, tool in self._tools.items()}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(self._specs.values())

    async def call(self, call: ToolCall) -> Observation:
        """Raises MalformedCall when the call can't be read, ToolError when it can't be carried out."""
        tool = self._tools.get(call.name)
        if tool is None:
            raise MalformedCall(f"there is no tool {call.name!r}{self._suggestion(call.name)}")
        arguments = read_arguments(self._specs[call.name], tool.arguments, call.arguments)
        return await tool.run(arguments)

    def _suggestion(self, name: str) -> str:
        close = get_close_matches(name, self._tools, n=1)
        return f"; did you mean {close[0]}?" if close else f"; the tools are {', '.join(self._tools)}"
