"""Asking the person at the terminal before a tool call."""

import asyncio

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from patchwright.agent.permission import Decision
from patchwright.schema.messages import ToolCall

HARMLESS = {"search", "think", "plan", "finish"}
"""Tools that change nothing and run nothing of the project's."""


class AskOnTerminal:
    """Asks about each call that runs or changes something: yes, no, always for this tool, or quit."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._always = set(HARMLESS)

    async def ask(self, call: ToolCall) -> Decision:
        if call.name in self._always:
            return "allow"
        self._console.print(Text(f"{call.name} {call.arguments}", style="bold"))
        choices = ["y", "n", "a", "q"]
        answer = await asyncio.to_thread(Prompt.ask, "allow? yes, no, always, quit", choices=choices, default="y")
        if answer == "a":
            self._always.add(call.name)
        decisions: dict[str, Decision] = {"y": "allow", "a": "allow", "n": "deny", "q": "stop"}
        return decisions[answer]
