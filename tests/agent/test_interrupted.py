from patchwright.agent.interrupted import InterruptedCall, interrupted_calls
from patchwright.schema.events import AnyEvent, Replied, ToolFinished, ToolStarted
from patchwright.schema.messages import AssistantMessage, ToolCall, ToolMessage, Usage


def call(identifier: str) -> ToolCall:
    return ToolCall(id=identifier, name="execute_bash", arguments="{}")


def replied(*identifiers: str) -> Replied:
    message = AssistantMessage(tool_calls=tuple(call(i) for i in identifiers))
    return Replied(message=message, usage=Usage(), finish_reason="tool_calls", first_token_s=0, duration_s=0)


def started(identifier: str) -> ToolStarted:
    return ToolStarted(call_id=identifier, name="execute_bash", arguments="{}")


def finished(identifier: str) -> ToolFinished:
    message = ToolMessage(tool_call_id=identifier, name="execute_bash", content="")
    return ToolFinished(message=message, duration_s=0)


def test_started_and_never_started_calls_are_told_apart() -> None:
    events: list[AnyEvent] = [replied("a", "b", "c"), started("a"), finished("a"), started("b")]

    assert interrupted_calls(events) == (
        InterruptedCall(call=call("b"), started=True),
        InterruptedCall(call=call("c"), started=False),
    )


def test_result_of_an_earlier_call_with_the_same_id_does_not_count() -> None:
    events = [replied("0"), started("0"), finished("0"), replied("0")]

    assert interrupted_calls(events) == (InterruptedCall(call=call("0"), started=False),)


def test_nothing_is_open_after_the_last_result() -> None:
    assert interrupted_calls([]) == ()
    assert interrupted_calls([replied("a"), started("a"), finished("a")]) == ()
