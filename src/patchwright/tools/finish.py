"""finish: the policy says that it is done."""

from pydantic import BaseModel, Field

from patchwright.tools.base import Arguments, Observation


class FinishArguments(Arguments):
    message: str = Field(description="What you did and how you checked it; what is left, if anything.")


class Finish:
    """Ends the run, if the agent agrees."""

    name = "finish"
    arguments: type[BaseModel] = FinishArguments

    async def run(self, arguments: FinishArguments) -> Observation:
        return Observation(text=arguments.message, finished=True)
