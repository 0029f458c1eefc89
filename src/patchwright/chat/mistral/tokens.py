"""Mistral's tokens: conversations as token ids, by mistral-common."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy, SpecialTokens
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from patchwright.chat.mistral.normal import chat_completion
from patchwright.errors import ConversationError, ModelError
from patchwright.schema.messages import Request

ARGS = "[ARGS]"
CALL_ID = "[CALL_ID]"
VERSION = "v13"

# mistral-common leaves the parameters of its generic types open.
_Tokenizer: Any = MistralTokenizer
_Request: Any = ChatCompletionRequest


class MistralTokens:
    """The tokenizer of a tekken.json of version v13, which is Devstral Small 1.1's. Reading one takes two seconds."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError for a broken file, and for another version, which orders its tokens otherwise."""
        try:
            self._mistral = _Tokenizer.from_file(str(path), mode=ValidationMode.test)
        except (MistralCommonException, AssertionError, ValueError, KeyError, OSError) as error:
            raise ModelError(f"{path}: not a tokenizer that mistral-common reads: {error}") from None
        tekken = self._mistral.instruct_tokenizer.tokenizer
        if not isinstance(tekken, Tekkenizer) or tekken.version.value != VERSION:
            raise ModelError(f"{path}: a tokenizer of version {tekken.version.value}, not {VERSION}")
        self._tekken = tekken
        self.tool_calls = tekken.get_special_token(SpecialTokens.tool_calls.value)
        self.args = tekken.get_special_token(ARGS)
        self.call_id = tekken.get_special_token(CALL_ID)
        self.end = tekken.eos_id

    def prompt(self, request: Request) -> list[int]:
        """The conversation up to where the model answers.

        No system prompt is made up, text never becomes a control token. Raises ConversationError for a conversation
        that mistral-common refuses, such as one that ends with the assistant.
        """
        try:
            body = _Request.from_openai(**chat_completion(request))
            return self._mistral.encode_chat_completion(body).tokens
        except (MistralCommonException, ValueError, RecursionError) as error:
            raise ConversationError(f"Mistral's format cannot express this conversation: {error}") from None

    def encoded(self, text: str) -> list[int]:
        """Text as tokens, none of them a control token."""
        return self._tekken.encode(text, bos=False, eos=False)

    def decoded(self, tokens: Sequence[int]) -> str:
        """Tokens as text, control tokens by their names, as in `[TOOL_CALLS]`."""
        return self._tekken.decode(list(tokens), special_token_policy=SpecialTokenPolicy.KEEP)
