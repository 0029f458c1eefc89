"""An answer of the model, read from its tokens as they arrive: text, and after it tool calls."""

import codecs
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

    def add(self, tokens: Iterable[int]) -> str:
        """The text for people that these tokens bring."""
        before = len(self._content.text)
        for token in tokens:
            self._add(token)
        return self._content.text[before:]

    def message(self) -> AssistantMessage:
        """Everything, as it was generated. The calls have no ids yet."""
        calls = (ToolCall(id="", name=call.name.text.strip(), arguments=call.arguments.text) for call in self._calls)
        return AssistantMessage(content=self._content.whole(), tool_calls=tuple(calls))

    def _add(self, token: int) -> None:
        if token == self._tokens.tool_calls:
            self._calls.append(_Call())
        elif not self._calls:
            self._content.add(self._tokens.piece(token))
        else:
            self._calls[-1].add(token, self._tokens)


class _Text:
    """Bytes as text, up to the last whole character."""

    def __init__(self) -> None:
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, piece: bytes) -> None:
        self.text += self._decoder.decode(piece)

    def whole(self) -> str:
        """With what is left of a character that never became whole."""
        return self.text + self._decoder.decode(b"", final=True)


class _Call:
    def __init__(self) -> None:
        self.name = _Text()
        self.arguments = _Text()
        self._skipped = _Text()
        self._part = self.name

    def add(self, token: int, tokens: MistralTokens) -> None:
        if token == tokens.args:
            self._part = self.arguments
        elif token == tokens.call_id:
            self._part = self._skipped
        else:
            self._part.add(tokens.piece(token))
