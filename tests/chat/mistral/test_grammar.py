"""The grammar of answers: what it lets through is checked by llguidance itself, with the real tokenizer's ids."""

import pytest
from llguidance import LLMatcher, LLTokenizer

from patchwright.chat.mistral.grammar import Answering, grammar, schema_problem
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.errors import ConversationError
from patchwright.schema.messages import ToolSpec

WRITE = ToolSpec(
    name="write",
    description="",
    parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)
LIST = ToolSpec(name="list.all", description="", parameters={})
VALID = [
    Answering(tools=[WRITE, LIST]),
    Answering(tools=[WRITE], required=True, parallel=False),
    Answering(tools=[WRITE, LIST], schema={"type": "object"}),
    Answering(schema={"enum": ["yes", "no"]}),
]


@pytest.mark.parametrize("answering", VALID)
def test_it_is_one_that_llguidance_takes(answering: Answering, tokens: MistralTokens) -> None:
    rules = grammar(answering, tokens)
    assert rules is not None
    assert LLMatcher.validate_grammar(rules, LLTokenizer("byte")) == ""


def test_without_tools_and_schema_anything_may_be_said(tokens: MistralTokens) -> None:
    assert grammar(Answering(), tokens) is None


@pytest.mark.parametrize(
    "schema", [{"type": "wat"}, {"$ref": "http://example.org/x"}, {"type": "string", "format": "?"}]
)
def test_a_schema_that_cannot_be_held_to_is_refused(schema: dict[str, str], tokens: MistralTokens) -> None:
    """llama.cpp would answer as if there were no grammar at all."""
    with pytest.raises(ConversationError, match="response_format cannot be held to"):
        grammar(Answering(schema=schema), tokens)


def test_what_no_grammar_can_hold_a_tool_to_is_a_hint(tokens: MistralTokens) -> None:
    parameters = {"type": "object", "properties": {"at": {"type": "string", "format": "moon-phase"}}}
    tool = ToolSpec(name="wait", description="", parameters=parameters)
    assert grammar(Answering(tools=[tool]), tokens) is not None
    broken = tool.model_copy(update={"parameters": {"properties": {"at": {"type": "wat"}}}})
    with pytest.raises(ConversationError, match="the parameters of wait"):
        grammar(Answering(tools=[broken]), tokens)


def test_what_is_kept_of_schemas_is_bounded(tokens: MistralTokens) -> None:
    kept = schema_problem.cache_info().currsize
    grammar(Answering(schema={"enum": ["x" * 70_000]}), tokens)
    assert schema_problem.cache_info().currsize == kept
    grammar(Answering(schema={"enum": ["never asked for before"]}), tokens)
    assert schema_problem.cache_info().currsize == min(kept + 1, 256)
