"""The two ways to call tools, each as a pair of functions: conversation → request body, answer → Reply."""

from collections.abc import Sequence
from typing import Protocol

from patchwright.chat import json_calling, native_calling
from patchwright.schema.messages import AssistantMessage, Calling, Json, Request, ToolCall


class ToolCalling(Protocol):
    """Implemented by the modules `native_calling` and `json_calling`."""

    def body(self, request: Request) -> Json:
        """The fields of a chat completions body that depend on how tools are called."""
        ...

    def read(self, content: str, calls: Sequence[ToolCall]) -> tuple[AssistantMessage, str | None]:
        """The message that an answer stands for, and, where no call can be read from it, why not."""
        ...

    def shown(self, content: str) -> str:
        """The part of an unfinished answer that a person wants to see; it only grows as `content` does."""
        ...


CALLING: dict[Calling, ToolCalling] = {"native": native_calling, "json": json_calling}
