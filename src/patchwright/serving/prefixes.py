"""Which upstream last worked on the beginning of a conversation: a chain of hashes over its blocks, kept for a while.

As routers of vLLM, SGLang and Ray do it: an engine that has the beginning in its cache need not compute it again.
"""

import json
from collections import Counter, OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from itertools import takewhile

from patchwright.serving.body import AssistantBody, ChatBody, Content, MessageBody, SystemBody, ToolBody

BLOCK_CHARS = 1024
"""A message is cut into blocks of this many characters, some 250 tokens; its last block may be shorter."""

CHAIN_BLOCKS = 1024
"""Of a longer conversation, only the beginning is looked at: a full window has fewer."""

TABLE_BLOCKS = 131_072
"""Blocks that are remembered: a thousand conversations of thirty thousand tokens, in some 30 MB."""

DIGEST_BYTES = 8


@dataclass(frozen=True)
class Chain:
    """A conversation, block by block. Each hash covers all blocks before it: an equal one means an equal prefix."""

    hashes: tuple[bytes, ...]
    head: int = 0
    """So many blocks are tools and system prompt, with which all conversations of one client begin."""

    @property
    def own(self) -> tuple[bytes, ...]:
        """What follows its head: by this it is known again, or every conversation would go where the first one went."""
        return self.hashes[self.head :]

    def shared(self, other: "Chain") -> int:
        """So many of its own blocks are the other's, too."""
        return sum(one == another for one, another in zip(self.own, other.own, strict=False))


def chain_of(body: ChatBody, adapter: str = "") -> Chain:
    """What the model reads of it: ids, markers for caches and the like may change from turn to turn.

    `adapter`: what one of them has computed is of no use to another.
    """
    leading = list(takewhile(_is_system, body.messages))
    head = _blocks(_tools(body), *map(_rendered, leading))
    rest = _blocks(*map(_rendered, body.messages[len(leading) :]))
    return Chain(_chained([*head, *rest], adapter), head=len(head))


def chain_of_text(prompt: str | list[int], adapter: str = "") -> Chain:
    """Of a prompt in text or tokens."""
    return Chain(_chained(_blocks(prompt if isinstance(prompt, str) else " ".join(map(str, prompt))), adapter))


class PrefixTable:
    """The owner of each block, who worked on it last. Forgets the blocks that were used longest ago."""

    def __init__(self, most_blocks: int = TABLE_BLOCKS) -> None:
        self._most_blocks = most_blocks
        self._owners: OrderedDict[bytes, str] = OrderedDict()
        self._owned: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._owners)

    def owner(self, chain: Chain) -> str | None:
        """Who worked last on the longest prefix of it that is known and goes beyond its head."""
        return next((self._owners[each] for each in reversed(chain.own) if each in self._owners), None)

    def owned(self, owner: str) -> int:
        """How many blocks are the owner's."""
        return self._owned[owner]

    def remember(self, chain: Chain, owner: str) -> None:
        """Its beginning is used last, and so forgotten last: an end without its beginning is of no use."""
        for each in reversed(chain.own):
            if before := self._owners.pop(each, None):
                self._owned[before] -= 1
            self._owners[each] = owner
            self._owned[owner] += 1
        while len(self._owners) > self._most_blocks:
            _, before = self._owners.popitem(last=False)
            self._owned[before] -= 1


def _is_system(message: MessageBody) -> bool:
    return isinstance(message, SystemBody)


def _tools(body: ChatBody) -> str:
    return json.dumps([tool.model_dump(exclude_none=True) for tool in body.tools or ()])


def _rendered(message: MessageBody) -> str:
    match message:
        case AssistantBody():
            calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or ()]
            return f"assistant\n{_text(message.content)}\n{json.dumps(calls)}"
        case SystemBody() | ToolBody():
            return f"{message.role}\n{_text(message.content)}"
        case _:
            return f"user\n{_text(message.content)}"


def _text(content: Content) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.model_dump_json() if part.text is None else part.text for part in content)


def _blocks(*texts: str) -> list[str]:
    return [text[start : start + BLOCK_CHARS] for text in texts for start in range(0, len(text), BLOCK_CHARS)]


def _chained(blocks: list[str], adapter: str) -> tuple[bytes, ...]:
    hashes: list[bytes] = []
    before = adapter.encode()
    for block in blocks[:CHAIN_BLOCKS]:
        before = blake2b(before + block.encode(), digest_size=DIGEST_BYTES).digest()
        hashes.append(before)
    return tuple(hashes)
