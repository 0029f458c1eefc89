import json

import pytest

from patchwright.errors import ModelError
from patchwright.models.checkpoint.tekken import Tekken, devstral_tekken


def test_devstrals_tokenizer_follows_from_its_ancestor_to_the_byte() -> None:
    tekken = devstral_tekken()
    assert len(tekken.data) == 19_399_650
    assert tekken.is_devstral
    assert (tekken.version, tekken.vocabulary) == ("v13", 131_072)


def test_a_tokenizer_of_text_says_nothing_of_images() -> None:
    content = json.loads(devstral_tekken().data) | {"image": {"image_patch_size": 14, "max_image_size": 1540}}
    assert Tekken(json.dumps(content).encode()).text_only() == devstral_tekken()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"config": {}, "vocab": []}', b"\xff", b'{"model": "BPE"}'])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"not a tekken\.json"):
        Tekken(data)


@pytest.mark.parametrize(
    "config",
    [
        {"version": None},
        {"default_vocab_size": True},
        {"default_num_special_tokens": -5},
        {"default_vocab_size": 10**6},
    ],
)
def test_a_tokenizer_that_is_not_whole_is_refused(config: dict[str, object]) -> None:
    content = json.loads(devstral_tekken().data)
    content["config"] |= config
    with pytest.raises(ModelError, match=r"this (is not a )?tekken\.json"):
        Tekken(json.dumps(content).encode())


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(ModelError, match=r"not a tekken\.json"):
        Tekken(b"[" * 200_000)
