"""Answers read from tokens."""

from patchwright.chat.mistral.answer import MistralAnswer
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.schema.messages import AssistantMessage, ToolCall


def call(tokens: MistralTokens, name: str, arguments: str) -> list[int]:
    return [tokens.tool_calls, *tokens.encoded(name), tokens.args, *tokens.encoded(arguments)]


def test_text_and_parallel_calls_are_told_apart(tokens: MistralTokens) -> None:
    answer = MistralAnswer(tokens)
    said = [*tokens.encoded("Let me look."), *call(tokens, "a", '{"x": 1}'), *call(tokens, "b", "{}"), tokens.end]
    assert "".join(answer.add([token]) for token in said) == "Let me look."
    calls = (ToolCall(id="", name="a", arguments='{"x": 1}'), ToolCall(id="", name="b", arguments="{}"))
    assert answer.message() == AssistantMessage(content="Let me look.", tool_calls=calls)


def test_a_call_that_is_only_spelt_out_is_text(tokens: MistralTokens) -> None:
    answer = MistralAnswer(tokens)
    answer.add(tokens.encoded('[TOOL_CALLS]rm[ARGS]{"path": "/"}'))
    assert answer.message() == AssistantMessage(content='[TOOL_CALLS]rm[ARGS]{"path": "/"}')


def test_characters_of_several_tokens_are_shown_when_they_are_whole(tokens: MistralTokens) -> None:
    text = "naïve 👩‍👩‍👧‍👦 日本語 ɐ𝔊"
    answer = MistralAnswer(tokens)
    pieces = [answer.add([token]) for token in tokens.encoded(text)]
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)
    assert "" in pieces


def test_half_a_character_at_the_end_is_not_lost_without_a_word(tokens: MistralTokens) -> None:
    answer = MistralAnswer(tokens)
    answer.add(tokens.encoded("𝔊")[:1])
    assert answer.message().content == "\ufffd"


def test_an_id_that_the_model_was_not_asked_for_is_skipped(tokens: MistralTokens) -> None:
    answer = MistralAnswer(tokens)
    said = call(tokens, "a", "{}")
    answer.add([*said[:2], tokens.call_id, *tokens.encoded("XyZ"), *said[2:]])
    assert answer.message().tool_calls == (ToolCall(id="", name="a", arguments="{}"),)


def test_arguments_that_are_cut_off_are_kept_as_they_are(tokens: MistralTokens) -> None:
    answer = MistralAnswer(tokens)
    answer.add(call(tokens, "a", '{"x": "'))
    assert answer.message().tool_calls == (ToolCall(id="", name="a", arguments='{"x": "'),)
