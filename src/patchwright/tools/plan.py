"""plan: a list of steps that the policy keeps, shown back to it and to the user."""

from typing import Literal

from pydantic import BaseModel, Field

from patchwright.tools.base import Arguments, Observation
from patchwright.tools.text import bounded

_MARKS = {"todo": "[ ]", "doing": "[>]", "done": "[x]"}


class Step(Arguments):
    step: str
    status: Literal["todo", "doing", "done"] = "todo"


class PlanArguments(Arguments):
    steps: list[Step] = Field(description="All steps, in order.")


class Plan:
    """Renders the list back, so that it stands at the end of the history again."""

    name = "plan"
    arguments: type[BaseModel] = PlanArguments

    def __init__(self, limit_chars: int) -> None:
        self.limit_chars = limit_chars

    async def run(self, arguments: PlanArguments) -> Observation:
        lines = [f"{_MARKS[step.status]} {step.step}" for step in arguments.steps]
        return Observation(text=bounded("\n".join(lines) or "The plan is empty.", self.limit_chars))
