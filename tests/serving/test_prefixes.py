"""Chains of hashes: what counts as the same beginning, who worked on it, and how much of it is remembered."""

import tracemalloc
from itertools import pairwise
from typing import Any

import pytest

from patchwright.serving.body import ChatBody
from patchwright.serving.prefixes import (
    BLOCK_CHARS,
    CHAIN_BLOCKS,
    TABLE_BLOCKS,
    Chain,
    PrefixTable,
    chain_of,
    chain_of_text,
)

SYSTEM = {"role": "system", "content": "You are a programmer. " * 100}
TOOL = {"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str | None, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}


def call(id_: str, arguments: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": "ls", "arguments": arguments}}


def chain(*messages: dict[str, Any], **fields: Any) -> Chain:
    return chain_of(ChatBody.model_validate({"messages": messages} | fields))


def test_a_conversation_that_grows_keeps_its_beginning() -> None:
    turns = [SYSTEM, user("Hi " * 2000), assistant("Hello", call("c", "{}")), user("More")]
    chains = [chain(*turns[:length]) for length in (2, 3, 4)]
    for shorter, longer in pairwise(chains):
        assert longer.hashes[: len(shorter.hashes)] == shorter.hashes
        assert len(longer.hashes) > len(shorter.hashes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([user("Hi")], [user([{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}])]),
        ([user("Hi"), assistant(None, call("a", "{}"))], [user("Hi"), assistant("", call("b", "{}"))]),
    ],
)
def test_what_the_model_does_not_read_makes_no_difference(one: list[Any], other: list[Any]) -> None:
    assert chain(*one) == chain(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([user("Hi")], [user("Ho")]),
        ([user("Hi"), assistant(None, call("a", "{}"))], [user("Hi"), assistant(None, call("a", "{1}"))]),
        ([user([{"type": "image_url", "url": "a"}])], [user([{"type": "image_url", "url": "b"}])]),
        ([user("Hi"), assistant("Hi")], [user("Hi"), user("Hi")]),
    ],
)
def test_what_it_reads_does(one: list[Any], other: list[Any]) -> None:
    assert chain(*one).hashes[-1] != chain(*other).hashes[-1]


def test_what_one_adapter_has_computed_is_of_no_use_to_another() -> None:
    body = ChatBody.model_validate({"messages": [user("Hi " * 2000)]})
    chains = [chain_of(body, adapter).hashes for adapter in ("", "one", "two")]
    texts = [chain_of_text("Hi " * 2000, adapter).hashes for adapter in ("", "one", "two")]
    for found in (chains, texts):
        assert len(set().union(*found)) == sum(map(len, found))


def test_tools_and_system_prompt_are_the_head_and_other_tools_another_beginning() -> None:
    with_tools = chain(SYSTEM, user("Hi"), tools=[TOOL])
    without = chain(SYSTEM, user("Hi"))
    assert (with_tools.head, len(with_tools.own)) == (1 + len(SYSTEM["content"]) // BLOCK_CHARS + 1, 1)
    assert set(with_tools.hashes).isdisjoint(without.hashes)


def test_a_text_that_grows_keeps_its_whole_blocks() -> None:
    text = "x" * BLOCK_CHARS * 2
    assert chain_of_text(text + "yz").hashes[:2] == chain_of_text(text).hashes
    tokens = list(range(2000))
    assert chain_of_text([*tokens, 1]).hashes[0] == chain_of_text(tokens).hashes[0]


def test_of_an_endless_conversation_only_the_beginning_is_looked_at() -> None:
    assert len(chain_of_text("x" * BLOCK_CHARS * (CHAIN_BLOCKS + 5)).hashes) == CHAIN_BLOCKS


def test_the_owner_is_who_worked_last_on_the_longest_prefix() -> None:
    table = PrefixTable()
    first, longer = chain(user("Hi")), chain(user("Hi"), assistant("Hello"))
    table.remember(longer, "a")
    table.remember(first, "b")
    assert table.owner(chain(user("Hi"), assistant("Hello"), user("More"))) == "a"
    assert table.owner(chain(user("Hi"), assistant("Good day"))) == "b"
    assert table.owner(chain(user("Ho"))) is None
    assert (table.owned("a"), table.owned("b")) == (1, 1)


def test_a_system_prompt_alone_makes_no_owner() -> None:
    table = PrefixTable()
    table.remember(chain(SYSTEM, user("Hi"), tools=[TOOL]), "a")
    assert table.owner(chain(SYSTEM, user("Ho"), tools=[TOOL])) is None
    assert table.owner(chain(SYSTEM, user("Hi"), tools=[TOOL])) == "a"


def test_the_conversation_that_was_used_longest_ago_is_forgotten_from_its_end() -> None:
    table = PrefixTable(most_blocks=4)
    old, young = chain(user("a"), user("b"), user("c")), chain(user("d"))
    table.remember(old, "a")
    table.remember(young, "b")
    table.remember(chain(user("e")), "b")
    assert (table.owner(old), table.owner(chain(user("a"))), table.owned("a")) == ("a", "a", 2)
    table.remember(chain(user("f"), user("g")), "b")
    assert (table.owner(old), table.owner(young), table.owned("a"), len(table)) == (None, "b", 0, 4)


def test_a_hundred_thousand_conversations_are_remembered_within_bounds() -> None:
    table = PrefixTable()
    tracemalloc.start()
    try:
        for number in range(100_000):
            hashes = chain_of_text(f"{number} ".ljust(BLOCK_CHARS * 2, "x"))
            table.remember(hashes, "a" if number % 2 else "b")
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == TABLE_BLOCKS == table.owned("a") + table.owned("b")
    assert used_bytes < 40_000_000
    assert table.owner(chain_of_text("99999 ".ljust(BLOCK_CHARS * 2, "x"))) == "a"
    assert table.owner(chain_of_text("0 ".ljust(BLOCK_CHARS * 2, "x"))) is None
