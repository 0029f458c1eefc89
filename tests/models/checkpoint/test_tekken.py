import json

import pytest

from patchwright.errors import ModelError
from patchwright.models.checkpoint.tekken import Tekken, devstral_tekken, tekken_of


def test_devstrals_tokenizer_follows_from_its_ancestor_to_the_byte() -> None:
    tekken = devstral_tekken()
    assert len(tekken.data) == 19_399_650
    assert tekken.is_devstral
    assert (tekken.version, tekken.vocabulary) == ("v13", 131_072)
    assert tekken.special_tokens[:3] == ["<unk>", "<s>", "</s>"]
    assert tekken.special_tokens[32:35] == ["[ARGS]", "[CALL_ID]", "<SPECIAL_34>"]


def test_the_tokenizer_is_known_again_by_the_tokens_of_a_gguf_file() -> None:
    tokens = [token.encode() for token in devstral_tekken().gguf_tokens()]
    assert len(tokens) == 131_072
    assert tekken_of(tokens) == devstral_tekken()
    assert tekken_of([*tokens[:32], b"[OTHER]", *tokens[33:]]) is None


def test_a_tokenizer_of_text_says_nothing_of_images() -> None:
    content = json.loads(devstral_tekken().data) | {"image": {"image_patch_size": 14, "max_image_size": 1540}}
    assert Tekken(json.dumps(content).encode()).text_only() == devstral_tekken()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"config": {}, "vocab": []}', b"\xff", b'{"model": "BPE"}'])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"not a tekken\.json"):
        Tekken(data)
