"""Tekken, Mistral's tokenizer: its file, and Devstral's own.

Source: `mistral_common.tokens.tokenizers.tekken`.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, Field, StrictInt, ValidationError

from patchwright.errors import ModelError

FILE = "tekken.json"
DEVSTRAL_SHA256 = "839c48629ff570bd664586800aa3ee17ee628f56efc7fd8e145cc01467a1c188"
"""Of the tekken.json in mistralai/Devstral-Small-2507."""

_ANCESTOR = "tekken_240911.json"
_V13_SPECIAL = {32: "[ARGS]", 33: "[CALL_ID]"}


class _Config(BaseModel):
    version: str = Field(pattern=r"v\d+[a-z0-9]*")
    default_vocab_size: StrictInt = Field(ge=1)
    default_num_special_tokens: StrictInt = Field(ge=1)


class _Token(BaseModel):
    token_bytes: str


class _Content(BaseModel):
    """What of a tekken.json has to be there."""

    config: _Config
    vocab: list[_Token]


@dataclass(frozen=True)
class Tekken:
    """A tekken.json, whole."""

    data: bytes

    def __post_init__(self) -> None:
        """Raises ModelError when this is no tekken.json."""
        try:
            content = _Content.model_validate_json(self.data)
        except ValidationError:
            raise ModelError(
                f"this is not a {FILE}", hint="Mistral's tokenizer comes with the weights; copy it again"
            ) from None
        if len(content.vocab) < content.config.default_vocab_size - content.config.default_num_special_tokens:
            raise ModelError(f"this {FILE} is not whole: tokens are missing", hint="copy it again")

    @property
    def version(self) -> str:
        return str(self._config["version"])

    @property
    def vocabulary(self) -> int:
        """Tokens, special ones included."""
        return self._config["default_vocab_size"]

    @property
    def is_devstral(self) -> bool:
        return hashlib.sha256(self.data).hexdigest() == DEVSTRAL_SHA256

    def text_only(self) -> "Tekken":
        """Without what says how images become tokens."""
        return Tekken(_json({name: value for name, value in self._content.items() if name != "image"}))

    @cached_property
    def _content(self) -> dict[str, Any]:
        return json.loads(self.data)

    @property
    def _config(self) -> dict[str, Any]:
        return self._content["config"]


def devstral_tekken() -> Tekken:
    """The tokenizer of Devstral Small 1.1, to the byte. Needs mistral-common, whose data it is made from."""
    content = json.loads((files("mistral_common") / "data" / _ANCESTOR).read_bytes())
    config = content["config"] | {"version": "v13"}
    return Tekken(_json({"config": config, "vocab": content["vocab"], "special_tokens": _special(1000)}))


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=4) + "\n").encode()


def _special(count: int) -> list[dict[str, Any]]:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    named = {each["rank"]: str(each["token_str"]) for each in Tekkenizer.DEPRECATED_SPECIAL_TOKENS}
    named |= _V13_SPECIAL
    return [{"rank": n, "token_str": named.get(n, f"<SPECIAL_{n}>"), "is_control": True} for n in range(count)]
