"""The Tool protocol."""

from importlib.resources import files
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from patchwright.schema.messages import ToolSpec
from patchwright.schema.record import Record

A_contra = TypeVar("A_contra", bound=BaseModel, contravariant=True)

_CLUTTER = {"title", "default", "additionalProperties", "exclusiveMinimum", "$defs"}


class Arguments(BaseModel):
    """The base of a tool's arguments. Unknown ones are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


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


def spec_of(tool: Tool[Any]) -> ToolSpec:
    """A tool as the policy sees it: a flat schema with what a reader needs, since it is part of every prompt."""
    schema = tool.arguments.model_json_schema()
    parameters = _pruned(schema, schema.get("$defs", {}))
    parameters.pop("description", None)  # the docstring of the arguments' class
    return ToolSpec(name=tool.name, description=description_of(tool.name), parameters=parameters)


def _pruned(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, JsonValue]:
    """Without titles, defaults, references and null, which an optional argument is by being left out."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        (only,) = (option for option in schema["anyOf"] if option != {"type": "null"})
        schema = only | {key: value for key, value in schema.items() if key != "anyOf"}
    kept = {key: value for key, value in schema.items() if key not in _CLUTTER}
    if "properties" in kept:
        kept["properties"] = {name: _pruned(field, definitions) for name, field in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _pruned(kept["items"], definitions)
    return kept
