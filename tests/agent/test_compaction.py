"""What remains of a history that was compacted."""

from patchwright.agent.compaction import HEADING, compact
from patchwright.schema.messages import AssistantMessage, Message, SystemMessage, ToolCall, ToolMessage, UserMessage

SYSTEM, TASK = SystemMessage(content="rules"), UserMessage(content="fix it")


def step(number: int, size: int = 100) -> list[Message]:
    call = ToolCall(id=f"call{number:05d}", name="execute_bash", arguments=f'{{"command": "make {number}"}}')
    observation = f"line {number}\n" + "x" * size
    return [
        AssistantMessage(content=f"I try {number}", tool_calls=(call,)),
        ToolMessage(tool_call_id=call.id, name=call.name, content=observation),
    ]


def history(steps: int) -> list[Message]:
    return [SYSTEM, TASK, *(message for n in range(1, steps + 1) for message in step(n))]


def test_the_latest_steps_stay_and_the_earlier_ones_become_a_line_each() -> None:
    compacted = compact(history(5), keep_chars=300)
    assert compacted[0] == SYSTEM
    assert compacted[1].content == (
        f"fix it{HEADING}"
        '- execute_bash {"command": "make 1"} → line 1\n'
        '- execute_bash {"command": "make 2"} → line 2\n'
        '- execute_bash {"command": "make 3"} → line 3'
    )
    assert list(compacted[2:]) == [*step(4), *step(5)]


def test_roles_go_on_alternating() -> None:
    roles = [message.role for message in compact(history(9), keep_chars=500)]
    assert roles[:2] == ["system", "user"]
    assert roles[2:] == ["assistant", "tool"] * ((len(roles) - 2) // 2)


def test_compacting_again_keeps_the_earlier_digest() -> None:
    once = compact(history(5), keep_chars=300)
    twice = compact([*once, *step(6), *step(7)], keep_chars=300)
    assert twice[1].content.count(HEADING) == 1
    assert [line.split(" → ")[1] for line in twice[1].content.splitlines()[3:]] == [f"line {n}" for n in range(1, 6)]


def test_a_history_that_fits_stays_as_it_is() -> None:
    assert list(compact(history(3), keep_chars=10_000)) == history(3)


def test_a_step_that_is_too_large_by_itself_is_dropped_too() -> None:
    compacted = compact([SYSTEM, TASK, *step(1, size=5000)], keep_chars=300)
    assert [message.role for message in compacted] == ["system", "user"]
