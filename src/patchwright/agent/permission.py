"""Who may say no to a tool call. A comfort for the person at the keyboard: the sandbox is what bounds a call."""

from typing import Literal, Protocol

from patchwright.schema.messages import ToolCall

Decision = Literal["allow", "deny", "stop"]


class Permission(Protocol):
    async def ask(self, call: ToolCall) -> Decision:
        """`deny` becomes an observation and the run goes on; `stop` ends it with the reason `refused`."""
        ...


class AllowAll:
    """Permission for everything that the sandbox permits."""

    async def ask(self, call: ToolCall) -> Decision:
        return "allow"
