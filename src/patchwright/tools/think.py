"""think: a place for the policy to write down what it makes of things."""

from pydantic import BaseModel, Field

from patchwright.tools.base import Arguments, Observation


class ThinkArguments(Arguments):
    thought: str = Field(description="The thought.")


class Think:
    """Does nothing: the thought is in the history, which is its use."""

    name = "think"
    arguments: type[BaseModel] = ThinkArguments

    async def run(self, arguments: ThinkArguments) -> Observation:
        del arguments
        return Observation(text="Your thought has been noted.")
