"""The context budget: how many tokens the next request holds, and whether they fit the window."""

import json
from collections.abc import Sequence

from patchwright.agent.compaction import compact
from patchwright.agent.deadline import Stopped
from patchwright.agent.state import RunState
from patchwright.policy.base import Policy
from patchwright.schema.events import HistoryCompacted
from patchwright.schema.messages import AssistantMessage, Message, ToolSpec

MESSAGE_OVERHEAD_TOKENS = 8
"""What a template puts around a message at most (measured: 4 to 7 in the Tekken and Qwen templates)."""


class Budget:
    """Counts in the model's own tokens: what the endpoint reported, plus what was added since.

    `reply_tokens` of the window stay free for the answer: a quarter of a small window at most.
    """

    def __init__(self, policy: Policy, tools: Sequence[ToolSpec], reply_tokens: int) -> None:
        window = policy.context_tokens
        self.tools = tuple(tools)
        self.reply_tokens = reply_tokens if window is None else min(reply_tokens, window // 4)
        self._room_tokens = None if window is None else window - self.reply_tokens
        self._policy = policy

    async def prompt_tokens(self, state: RunState) -> int:
        """Tokens of a request with the whole history."""
        if state.counted_messages == 0:
            return await self._count_request(state.history)
        return state.counted_tokens + await self._count(state.history[state.counted_messages :])

    async def compacted(self, state: RunState) -> HistoryCompacted | None:
        """A shorter history, if the next request would not fit the window. Raises Stopped if none can be made."""
        before = await self.prompt_tokens(state)
        if self._room_tokens is None or before <= self._room_tokens:
            return None
        chars = sum(len(_text(message)) for message in state.history)
        messages = compact(state.history, keep_chars=chars * self._room_tokens // (2 * before))
        after = await self._count_request(messages)
        if after > self._room_tokens:
            room = f"the window of {self._policy.context_tokens} tokens"
            raise Stopped("token_limit", f"the task takes {after} tokens, too many for {room}")
        return HistoryCompacted(messages=messages, tokens_before=before, tokens_after=after)

    async def _count_request(self, history: Sequence[Message]) -> int:
        """Tokens of `history` and the tools, when nothing of it is known from before."""
        specs = json.dumps([tool.model_dump() for tool in self.tools])
        return await self._policy.count_tokens(specs) + await self._count(history)

    async def _count(self, messages: Sequence[Message]) -> int:
        if not messages:
            return 0
        text = "\n".join(_text(message) for message in messages)
        return await self._policy.count_tokens(text) + MESSAGE_OVERHEAD_TOKENS * len(messages)


def _text(message: Message) -> str:
    if not isinstance(message, AssistantMessage):
        return message.content
    return message.content + "".join(f"{call.name}{call.arguments}" for call in message.tool_calls)
