"""The grammar of an answer in Mistral's tokens: what may be said, in the Lark of llguidance, which llama.cpp speaks.

Control tokens stand in it by their ids, so that no text can be taken for a call. With it an answer's calls are calls of
the tools there are, with arguments that their schemas allow, and a call that is asked for is made. Syntax:
https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.errors import ConversationError
from patchwright.schema.messages import ToolSpec

Schema = Mapping[str, object]

_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""As mistral-common writes arguments: what the model has seen, and what the next prompt repeats."""


@dataclass(frozen=True)
class Answering:
    """What an answer may be. `tools`: those that may be called, none of them when there are none."""

    tools: Sequence[ToolSpec] = ()
    required: bool = False
    """Whether a tool has to be called, and nothing may be said."""
    parallel: bool = True
    """Whether several may be called."""
    schema: Schema | None = None
    """For what is said; None: any text."""


def grammar(answering: Answering, tokens: MistralTokens) -> str | None:
    """In Lark; None where anything may be said and nothing called.

    Raises ConversationError for a schema that cannot be held to: llama.cpp would leave the grammar out without a word.
    """
    if not answering.tools and answering.schema is None:
        return None
    rules = [f"start: {_start(answering)}", f"said: {_said(answering.schema)}"]
    if answering.tools:
        names = " | ".join(f"call_{number}" for number in range(len(answering.tools)))
        rules.append(f"call: <[{tokens.tool_calls}]> ({names})")
    for number, tool in enumerate(answering.tools):
        parameters = {**tool.parameters, "type": "object"}
        arguments = _json(parameters, f"the parameters of {tool.name}", lenient=True)
        rules.append(f"call_{number}: {json.dumps(tool.name)} <[{tokens.args}]> {arguments}")
    return "%llguidance {}\n" + "\n".join(rules)


def _start(answering: Answering) -> str:
    """Text may come before calls; what a schema describes is the whole answer."""
    calls = "call+" if answering.parallel else "call"
    if not answering.tools:
        return "said"
    if answering.required:
        return calls
    return f"said | {calls}" if answering.schema is not None else f"said | said {calls}"


def _said(schema: Schema | None) -> str:
    return "/(?s:.*)/" if schema is None else _json(schema, "the schema of response_format", lenient=False)


def _json(schema: Schema, what: str, *, lenient: bool) -> str:
    """lenient: keywords that no grammar can hold to are taken for hints."""
    text = json.dumps({**schema, "x-guidance": {**_SPACING, "lenient": lenient}})
    check = schema_problem if len(text) <= _CACHED_CHARS else schema_problem.__wrapped__
    if problem := check(text):
        raise ConversationError(f"{what} cannot be held to: {problem}")
    return f"%json {text}"


_CACHED_CHARS = 65_536
"""Schemas that are longer are checked each time: kept, a few hundred of them would fill the memory."""


@lru_cache(maxsize=256)
def schema_problem(schema: str) -> str:
    """What llguidance says against it; agents send the same tools again and again."""
    from llguidance import LLMatcher, LLTokenizer

    said = LLMatcher.validate_grammar(f"%llguidance {{}}\nstart: %json {schema}", LLTokenizer("byte"))
    return said.partition("\n")[0].rpartition("JSON schema: ")[2]
