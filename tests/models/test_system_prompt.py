from pathlib import Path

import pytest

from patchwright.errors import ModelError
from patchwright.models.system_prompt import FILE, agents_prompt

PROMPT = "You are Devstral.\n"


def test_it_lies_in_the_directory_of_the_weights_or_beside_their_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(PROMPT)
    (tmp_path / "weights.gguf").touch()
    assert agents_prompt(tmp_path) == agents_prompt(tmp_path / "weights.gguf") == PROMPT


def test_none_is_made_up(tmp_path: Path) -> None:
    assert agents_prompt(tmp_path) is None


def test_a_page_that_somebody_answered_with_is_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("<!DOCTYPE html><p>mistralai/Devstral-Small-2507 is blocked here")
    assert agents_prompt(tmp_path) is None


def test_another_models_is_for_a_chat(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("You are {name}, a Large Language Model. The current date is {today}.")
    assert agents_prompt(tmp_path) is None


@pytest.mark.parametrize(
    ("data", "problem"), [(b"Devstral \xff", "is not in UTF-8"), (b"Devstral " * 4_000, "longer than any")]
)
def test_what_is_no_prompt_is_an_error_with_a_way_out(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(ModelError, match=problem) as raised:
        agents_prompt(tmp_path)
    assert raised.value.hint == "delete it to work without it"
