"""Ids of tool calls: ours, not the engine's, so that they are valid everywhere and the same in every replay."""

from collections.abc import Sequence

from patchwright.schema.messages import AssistantMessage, Message


def with_ids(message: AssistantMessage, history: Sequence[Message]) -> AssistantMessage:
    """The message with its calls numbered on from those in `history`.

    Mistral's validator wants nine letters or digits: mistral_common/protocol/instruct/validator.py.
    """
    before = sum(len(past.tool_calls) for past in history if isinstance(past, AssistantMessage))
    calls = (
        call.model_copy(update={"id": f"call{number:05d}"})
        for number, call in enumerate(message.tool_calls, start=before + 1)
    )
    return message.model_copy(update={"tool_calls": tuple(calls)})
