"""A call's raw arguments, read and checked; what is wrong with them, said so that a policy can do it right."""

import json
from typing import Any

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from patchwright.errors import ToolError
from patchwright.schema.messages import ToolSpec

_OBJECT = TypeAdapter(dict[str, JsonValue])
_EXCERPT_CHARS = 30


class MalformedCall(ToolError):
    """A call that cannot be read: unknown tool, invalid JSON, or arguments that don't fit the tool."""


def read_arguments(spec: ToolSpec, model: type[BaseModel], raw: str) -> BaseModel:
    """Raises MalformedCall. Slips that leave no doubt are forgiven: see `_forgiven`."""
    given: dict[str, JsonValue] = {name: value for name, value in _object(spec, raw).items() if value is not None}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error
    try:
        return model.model_validate(_forgiven(given, first))
    except ValidationError:
        raise _malformed(spec, _problem(spec, first.errors(include_url=False)[0])) from None


def _object(spec: ToolSpec, raw: str) -> dict[str, JsonValue]:
    if not raw.strip():
        return {}
    try:
        # Not strict: a line break inside a string is what small models write, and means what it looks like.
        value = json.loads(raw, strict=False)
        # Some servers encode the object twice.
        value = json.loads(value, strict=False) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise _malformed(spec, _json_problem(error)) from None
    except (RecursionError, ValueError) as error:
        raise _malformed(spec, f"the arguments are not usable JSON: {error}") from None
    if not isinstance(value, dict):
        raise _malformed(spec, "the arguments must be one JSON object")
    return _OBJECT.validate_python(value)


def _json_problem(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos :]
    if not rest.strip() or error.msg.startswith("Unterminated"):
        return "the arguments are not complete JSON; they break off. Make the call shorter"
    before = error.doc[max(0, error.pos - _EXCERPT_CHARS) : error.pos]
    return f"the arguments are not valid JSON: {error.msg.lower()} after {before!r}, at {rest[:_EXCERPT_CHARS]!r}"


def _forgiven(given: dict[str, JsonValue], error: ValidationError) -> dict[str, JsonValue]:
    """With the strings that don't fit read as the JSON they hold: "null", "12", "[1, 20]"."""
    ill = {str(problem["loc"][0]) for problem in error.errors(include_url=False) if problem["loc"]}
    reread = {name: _reread(value) if name in ill else value for name, value in given.items()}
    return {name: value for name, value in reread.items() if value is not None}


def _reread(value: JsonValue) -> JsonValue:
    if not isinstance(value, str):
        return value
    if value.strip() in ("", "None"):
        return None
    try:
        return json.loads(value)
    except (RecursionError, ValueError):
        return value


def _problem(spec: ToolSpec, problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "missing":
            return f'the argument "{where}" is missing'
        case "extra_forbidden":
            return f'there is no argument "{where}"'
        case "value_error":
            return problem["msg"].removeprefix("Value error, ")
        case _:
            return f'"{where}": {_lowered(problem["msg"])}, not {_excerpt(problem["input"])}'


def _malformed(spec: ToolSpec, problem: str) -> MalformedCall:
    properties: Any = spec.parameters["properties"]
    required: Any = spec.parameters.get("required", [])
    fields = [
        f"{name} ({_type(schema)}{'' if name in required else ', optional'})" for name, schema in properties.items()
    ]
    return MalformedCall(f"malformed call of {spec.name}: {problem}. Its arguments: {', '.join(fields)}.")


def _type(schema: Any) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return f"list of {_type(schema['items'])}" if schema["type"] == "array" else str(schema["type"])


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _excerpt(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
