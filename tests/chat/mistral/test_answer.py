"""Answers put together from pieces: text, and the control tokens that came with it."""

from patchwright.chat.mistral.answer import MistralAnswer
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.schema.messages import AssistantMessage, ToolCall

Pieces = list[tuple[str, list[int]]]


def call(tokens: MistralTokens, name: str, *arguments: str) -> Pieces:
    return [("", [tokens.tool_calls]), (name, [1001]), ("", [tokens.args]), *((piece, [1002]) for piece in arguments)]


def read(tokens: MistralTokens, pieces: Pieces) -> tuple[str, AssistantMessage]:
    answer = MistralAnswer(tokens)
    shown = "".join(answer.add(text, ids) for text, ids in pieces)
    assert answer.message() == answer.message()
    return shown, answer.message()


def test_text_and_parallel_calls_are_told_apart(tokens: MistralTokens) -> None:
    pieces = [("Let me", [1000]), (" look.", [1003]), *call(tokens, "a", '{"x":', " 1}"), *call(tokens, "b", "{}")]
    calls = (ToolCall(id="", name="a", arguments='{"x": 1}'), ToolCall(id="", name="b", arguments="{}"))
    assert read(tokens, [*pieces, ("", [tokens.end])]) == (
        "Let me look.",
        AssistantMessage(content="Let me look.", tool_calls=calls),
    )


def test_a_call_that_is_only_spelt_out_is_text(tokens: MistralTokens) -> None:
    text = '[TOOL_CALLS]rm[ARGS]{"path": "/"}'
    assert read(tokens, [(text, tokens.encoded(text))]) == (text, AssistantMessage(content=text))


def test_an_id_that_the_model_was_not_asked_for_is_skipped(tokens: MistralTokens) -> None:
    first, name, *rest = call(tokens, "a", "{}")
    _, message = read(tokens, [first, name, ("", [tokens.call_id]), ("XyZ", [1004]), *rest])
    assert message.tool_calls == (ToolCall(id="", name="a", arguments="{}"),)


def test_what_is_cut_off_is_kept_as_it_is(tokens: MistralTokens) -> None:
    _, message = read(tokens, call(tokens, "a", '{"x": "'))
    assert message.tool_calls == (ToolCall(id="", name="a", arguments='{"x": "'),)
    _, message = read(tokens, [("", [tokens.tool_calls])])
    assert message.tool_calls == (ToolCall(id="", name="", arguments=""),)


def test_arguments_without_a_call_are_text(tokens: MistralTokens) -> None:
    assert read(tokens, [("", [tokens.args]), ("{}", [1005])])[1] == AssistantMessage(content="{}")
