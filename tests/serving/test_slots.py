"""Slots of llama.cpp: a conversation comes back to the one that has its beginning."""

from contextlib import ExitStack

from patchwright.serving.prefixes import chain_of_text
from patchwright.serving.slots import ANY, Slots

BLOCK = "The same beginning. " * 60


def used(slots: Slots, text: str, adapter: str = "") -> int:
    with slots.taken(chain_of_text(text, adapter)) as slot:
        return slot


def test_a_conversation_comes_back_to_its_slot_and_others_take_the_one_used_longest_ago() -> None:
    slots = Slots(3)
    assert [used(slots, text) for text in ("a", "b", "c", "d")] == [0, 1, 2, 0]
    assert used(slots, "b") == 1
    assert used(slots, "e") == 2


def test_what_another_adapter_has_computed_is_no_beginning() -> None:
    slots = Slots(3)
    assert [used(slots, BLOCK, adapter) for adapter in ("", "one", "two")] == [0, 1, 2]
    assert [used(slots, BLOCK + "More", adapter) for adapter in ("two", "one", "")] == [2, 1, 0]


def test_a_slot_that_is_taken_is_given_to_nobody_else() -> None:
    slots = Slots(2)
    with slots.taken(chain_of_text("a")) as first:
        assert used(slots, "a") != first
        with slots.taken(chain_of_text("b")) as second:
            assert {first, second} == {0, 1}
            assert used(slots, "c") == ANY


def test_while_llama_cpp_has_chosen_a_slot_it_chooses_the_others_too() -> None:
    slots = Slots(2)
    with ExitStack() as running:
        assert running.enter_context(slots.taken(None)) == ANY
        assert used(slots, "a") == ANY
    assert used(slots, "a") == 0
