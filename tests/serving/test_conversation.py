"""What a client's conversation means, and that Mistral's own validator takes it."""

from typing import Any

import pytest

from patchwright.chat.mistral.normal import NO_RESULT
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.schema.messages import Message, ToolMessage, UserMessage
from patchwright.serving.body import ChatBody
from patchwright.serving.conversation import STRAY, request_of

USER = {"role": "user", "content": "Hi"}


def called(*ids: str) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "ls", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id_: str, content: str) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def messages(tokens: MistralTokens, *sent: dict[str, Any]) -> tuple[Message, ...]:
    request = request_of(ChatBody.model_validate({"messages": sent}))
    assert tokens.prompt(request)  # or it would have been refused
    return request.messages


def test_a_second_result_of_one_call_is_none(tokens: MistralTokens) -> None:
    *_, first, second = messages(tokens, USER, called("a"), result("a", "1"), result("a", "2"))
    assert first == ToolMessage(tool_call_id="call00001", name="ls", content="1")
    assert second == UserMessage(content=f"{STRAY}\n2")


def test_a_result_that_comes_late_is_none(tokens: MistralTokens) -> None:
    *_, late = messages(tokens, USER, called("a"), USER, result("a", "1"))
    assert late == UserMessage(content=f"{STRAY}\n1")


def test_calls_that_share_an_id_have_a_result_each(tokens: MistralTokens) -> None:
    *_, first, second = messages(tokens, USER, called("a", "a"), result("a", "1"), result("a", "2"))
    assert isinstance(first, ToolMessage)
    assert isinstance(second, ToolMessage)
    assert (first.tool_call_id, second.tool_call_id) == ("call00001", "call00002")


@pytest.mark.parametrize("role", ["system", "user"])
def test_parts_of_one_message_are_apart_as_mistral_common_has_them(tokens: MistralTokens, role: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}]
    (first, *_) = messages(tokens, {"role": role, "content": parts}, USER)
    assert first.content == "a\n\nb"


def test_a_call_without_a_result_gets_one(tokens: MistralTokens) -> None:
    request = request_of(ChatBody.model_validate({"messages": [USER, called("a"), USER]}))
    assert NO_RESULT in tokens.decoded(tokens.prompt(request))
