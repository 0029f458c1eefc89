"""The Tool protocol."""

from importlib.resources import files
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from patchwright.schema.messages import ToolSpec
from patchwright.schema.record import Record

A_contra = TypeVar("A_contra", bound=BaseModel, contravariant=True)


class Arguments(BaseModel):
    """The base of a tool's arguments. Unknown ones are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Observation(Record):
    """What the policy sees of a call's result. Bounded by the tool that makes it."""

    text: str
    diff: str = ""
    """For an edit: the change as a unified diff, for showing to a person."""
    failed: bool = False
    """True when the call did not do what was asked, though nothing is wrong with the sandbox."""
    malformed: bool = False
    """True when the call could not even be read."""
    finished: bool = False
    """True when the call ends the run."""


class Tool(Protocol[A_contra]):
    """One capability. Collaborators (the sandbox) come through the constructor."""

    name: str
    arguments: type[BaseModel]

    async def run(self, arguments: A_contra) -> Observation:
        """Raises ToolError when the call cannot be carried out; the agent shows it to the policy."""
        ...


def description_of(name: str) -> str:
    """The text of `<name>.md` in this package."""
    return files("patchwright.tools").joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


def spec_of(tool: Tool[BaseModel]) -> ToolSpec:
    """A tool as the policy sees it."""
    schema = tool.arguments.model_json_schema()
    return ToolSpec(name=tool.name, description=description_of(tool.name), parameters=schema)
