"""An answer of the model, put together as it arrives: text, and after it tool calls."""

from collections.abc import Iterable

from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.schema.messages import AssistantMessage, ToolCall


class MistralAnswer:
    """What has been said so far.

    An answer is text, then calls: [TOOL_CALLS] name [ARGS] arguments, one after the other. Control tokens mark them, so
    that no text can be taken for a call, and no call for text.
    """

    def __init__(self, tokens: MistralTokens) -> None:
        self._tokens = tokens
        self._content = _Text()
        self._calls: list[_Call] = []
        self._part = self._content

    def add(self, text: str, tokens: Iterable[int]) -> str:
        """Takes a piece of the answer, and gives back what of it is for people.

        `tokens` came with it, control tokens among them. They need not be all: an engine keeps back those that are
        less than a character, and says only the text that came of them.
        """
        for token in tokens:
            self._turn_to(token)
        self._part.text += text
        return text if self._part is self._content else ""

    def message(self) -> AssistantMessage:
        """Everything, as it was generated. The calls have no ids yet."""
        calls = (ToolCall(id="", name=call.name.text.strip(), arguments=call.arguments.text) for call in self._calls)
        return AssistantMessage(content=self._content.text, tool_calls=tuple(calls))

    def _turn_to(self, token: int) -> None:
        if token == self._tokens.tool_calls:
            self._calls.append(_Call())
            self._part = self._calls[-1].name
        elif self._calls and token == self._tokens.args:
            self._part = self._calls[-1].arguments
        elif self._calls and token == self._tokens.call_id:
            self._part = self._calls[-1].skipped


class _Text:
    def __init__(self) -> None:
        self.text = ""


class _Call:
    def __init__(self) -> None:
        self.name = _Text()
        self.arguments = _Text()
        self.skipped = _Text()
