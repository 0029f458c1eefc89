"""Tekken, Mistral's tokenizer: Devstral's own file, and its vocabulary in llama.cpp's terms.

Sources: `mistral_common.tokens.tokenizers.tekken` for the file, `MistralVocab` of the package `gguf` for the terms.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from gguf.vocab import bytes_to_unicode

from patchwright.errors import ModelError

FILE = "tekken.json"
DEVSTRAL_SHA256 = "839c48629ff570bd664586800aa3ee17ee628f56efc7fd8e145cc01467a1c188"
"""Of the tekken.json in mistralai/Devstral-Small-2507."""

_ANCESTOR = "tekken_240911.json"
_V13_SPECIAL = {32: "[ARGS]", 33: "[CALL_ID]"}


@dataclass(frozen=True)
class Tekken:
    """A tekken.json, whole."""

    data: bytes

    def __post_init__(self) -> None:
        """Raises ModelError when this is no tekken.json."""
        try:
            numbers = [self._config[name] for name in ("default_vocab_size", "default_num_special_tokens")]
            known = bool(self._content["vocab"]) and all(isinstance(number, int) for number in numbers)
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise ModelError(f"this is not a {FILE}", hint="Mistral's tokenizer comes with the weights; copy it again")

    @property
    def version(self) -> str:
        return str(self._config["version"])

    @property
    def vocabulary(self) -> int:
        """Tokens, special ones included."""
        return self._config["default_vocab_size"]

    @property
    def special_tokens(self) -> list[str]:
        """By id; the file may leave out the last ones, which have no meaning."""
        count = self._config["default_num_special_tokens"]
        named = {each["rank"]: each["token_str"] for each in self._content.get("special_tokens") or _deprecated()}
        return [named.get(rank, _filler(rank)) for rank in range(count)]

    @property
    def pieces(self) -> list[bytes]:
        """The bytes of each ordinary token, in the order of their ids, which follow the special ones."""
        count = self.vocabulary - self._config["default_num_special_tokens"]
        return [base64.b64decode(token["token_bytes"]) for token in self._content["vocab"][:count]]

    def gguf_tokens(self) -> list[str]:
        """By id: each byte of an ordinary token is a printable character, as GPT-2's vocabulary has it."""
        letters = bytes_to_unicode()
        return [*self.special_tokens, *("".join(letters[byte] for byte in piece) for piece in self.pieces)]

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
    return Tekken(_file(content["config"] | {"version": "v13"}, content["vocab"], _special(1000)))


def tekken_of(tokens: Sequence[bytes]) -> Tekken | None:
    """Devstral's tokenizer when these are the tokens of a GGUF file of it; None for others.

    A file cannot be made from any such tokens: tekken.json holds some twenty thousand that no model uses.
    """
    devstral = devstral_tekken()
    return devstral if [token.decode("utf-8", "replace") for token in tokens] == devstral.gguf_tokens() else None


def _file(config: dict[str, Any], vocab: list[dict[str, Any]], special: list[dict[str, Any]]) -> bytes:
    return _json({"config": config, "vocab": vocab, "special_tokens": special})


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=4) + "\n").encode()


def _special(count: int) -> list[dict[str, Any]]:
    named = {each["rank"]: each["token_str"] for each in _deprecated()} | _V13_SPECIAL
    return [{"rank": n, "token_str": named.get(n, _filler(n)), "is_control": True} for n in range(count)]


def _deprecated() -> Sequence[dict[str, Any]]:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    return [dict(each) for each in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]


def _filler(rank: int) -> str:
    return f"<SPECIAL_{rank}>"
