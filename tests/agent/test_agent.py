"""The loop: what a run does, how it ends, and that it ends in order whatever happens."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import MistralRequestValidatorV13

from patchwright.agent.calls import TAKEN_BACK
from patchwright.agent.limits import Limits
from patchwright.agent.opening import INTERRUPTED, NOT_RUN
from patchwright.agent.profile import SMALL
from patchwright.chat.calling import CALLING
from patchwright.errors import EngineError
from patchwright.policy.replay import ReplayPolicy
from patchwright.policy.scripted import Line, ScriptedPolicy, calls
from patchwright.schema.events import (
    AnyEvent,
    HistoryCompacted,
    MessageAdded,
    Replied,
    RunStarted,
    SnapshotTaken,
    StepFailed,
    TestsRun,
    ToolFinished,
    ToolStarted,
)
from patchwright.schema.history import history_of
from patchwright.schema.messages import AssistantMessage, Message, Reply, Request, ToolMessage, Usage, UserMessage
from patchwright.schema.trajectory import Header, Trajectory
from tests.conftest import BUG, FIXED, TEST_COMMAND, git

from .harness import Told, agent_in, events_of, finish_of, observations_of, steps_of

EDIT = calls(
    ("str_replace_editor", {"command": "str_replace", "path": "adder.py", "old_str": "a - b", "new_str": "a + b"})
)
SMALL_EDIT = calls(("edit", {"path": "adder.py", "old_str": "a - b", "new_str": "a + b"}))
FINISH = calls(("finish", {"message": "add adds now"}))


def bash(command: str) -> AssistantMessage:
    return calls(("execute_bash", {"command": command}))


async def test_a_bug_is_fixed_and_the_patch_applies_to_the_untouched_tree(repository: Path) -> None:
    finished = finish_of(await events_of(repository, [EDIT, FINISH], test_command=TEST_COMMAND))
    assert (finished.reason, finished.message, finished.steps) == ("done", "add adds now", 2)
    assert (repository / "adder.py").read_text() == FIXED
    git(repository, "checkout", "--quiet", ".")
    subprocess.run(["git", "apply"], input=finished.patch, cwd=repository, text=True, check=True)
    assert (repository / "adder.py").read_text() == FIXED


async def test_the_kinds_of_events_of_a_run_in_their_order(repository: Path) -> None:
    events = await events_of(repository, [EDIT, FINISH], test_command=TEST_COMMAND)
    assert [event.kind for event in events] == [
        *("run_started", "snapshot_taken", "message_added", "tests_run", "message_added"),
        *("step_started", "replied", "tool_started", "snapshot_taken", "tool_finished"),
        *("step_started", "replied", "tool_started", "tests_run", "tool_finished"),
        "run_finished",
    ]


async def test_finish_is_not_accepted_while_the_tests_fail(repository: Path) -> None:
    events = await events_of(repository, [FINISH, EDIT, FINISH], test_command=TEST_COMMAND)
    first = observations_of(events)[0]
    assert not first.finished
    assert "2 + 3 is not -1" in first.message.content
    assert finish_of(events).reason == "done"


async def test_the_small_profile_sees_the_tests_after_an_edit_and_the_files_that_the_task_names(
    repository: Path,
) -> None:
    events = await events_of(
        repository, [SMALL_EDIT], test_command=TEST_COMMAND, profile=SMALL, task="`add` subtracts."
    )
    task = next(e.message.content for e in events if isinstance(e, MessageAdded) and e.message.role == "user")
    assert BUG in task
    assert "The tests fail" in task
    assert "The tests pass" in observations_of(events)[0].message.content
    assert (finish_of(events).reason, finish_of(events).steps) == ("done", 1)


async def test_an_edit_that_leaves_the_tests_failing_is_taken_back_in_the_small_profile(repository: Path) -> None:
    wrong = calls(("edit", {"path": "adder.py", "old_str": "a - b", "new_str": "a * b"}))
    missed = calls(("edit", {"path": "adder.py", "old_str": "a * b", "new_str": "a + b"}))
    policy = ScriptedPolicy([wrong, missed, SMALL_EDIT])
    events = await events_of(repository, policy, test_command=TEST_COMMAND, profile=SMALL)
    told = [(TAKEN_BACK in event.message.content, event.failed) for event in observations_of(events)]
    assert told == [(True, True), (False, True), (False, False)]
    assert ["2 + 3 is not" in event.message.content for event in observations_of(events)] == [True, False, False]
    first, second, third = policy.requests
    assert second.messages == first.messages
    assert [message.role for message in third.messages] == ["system", "user", "assistant", "tool"]
    assert finish_of(events).reason == "done"
    assert (repository / "adder.py").read_text() == FIXED


async def test_an_observation_that_speaks_of_an_edit_taken_back_takes_nothing_back(repository: Path) -> None:
    missing = calls(("edit", {"path": TAKEN_BACK, "old_str": "a - b", "new_str": "a + b"}))
    policy = ScriptedPolicy([missing, SMALL_EDIT])
    events = await events_of(repository, policy, test_command=TEST_COMMAND, profile=SMALL)
    [missed, _] = observations_of(events)
    assert (TAKEN_BACK in missed.message.content, missed.failed) == (True, True)
    assert [message.role for message in policy.requests[1].messages] == ["system", "user", "assistant", "tool"]


async def test_the_second_failed_call_in_a_row_takes_both_back_in_the_small_profile(repository: Path) -> None:
    missed = calls(("edit", {"path": "adder.py", "old_str": "a * b", "new_str": "a + b"}))
    policy = ScriptedPolicy([bash("true"), missed, missed, missed, SMALL_EDIT])
    events = await events_of(repository, policy, test_command=TEST_COMMAND, profile=SMALL)
    assert [len(request.messages) for request in policy.requests] == [2, 4, 6, 4, 6]
    assert policy.requests[3].messages == policy.requests[1].messages
    assert finish_of(events).reason == "done"


async def test_each_failed_call_in_a_row_makes_the_small_profile_bolder(repository: Path) -> None:
    wrong = calls(("edit", {"path": "adder.py", "old_str": "a - b", "new_str": "a * b"}))
    policy = ScriptedPolicy([wrong, wrong, wrong, wrong, bash("true"), SMALL_EDIT])
    await events_of(repository, policy, test_command=TEST_COMMAND, profile=SMALL)
    assert [request.sampling.temperature for request in policy.requests] == pytest.approx(
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.3]
    )


async def test_the_small_profile_goes_on_after_an_edit_when_the_tests_passed_before_too(repository: Path) -> None:
    events = await events_of(repository, [SMALL_EDIT, FINISH], test_command="true", profile=SMALL)
    assert (finish_of(events).reason, finish_of(events).steps) == ("done", 2)


async def test_tool_error_becomes_an_observation(repository: Path) -> None:
    events = await events_of(repository, [bash("exit 3"), calls(("search", {"pattern": "("})), EDIT, FINISH])
    assert finish_of(events).reason == "done"
    assert "3" in observations_of(events)[0].message.content


async def test_three_malformed_calls_in_a_row_end_the_run(repository: Path) -> None:
    script: list[Line] = [calls(("seerch", {})), AssistantMessage(content="no call"), calls(("finish", {"word": "x"}))]
    events = await events_of(repository, script)
    finished = finish_of(events)
    assert (finished.reason, finished.steps) == ("malformed_calls", 3)
    assert "seerch" in observations_of(events)[0].message.content


async def test_a_good_call_between_malformed_ones_starts_the_count_anew(repository: Path) -> None:
    bad = AssistantMessage(content="no call")
    events = await events_of(repository, [bad, bad, bash("true"), bad, bad, FINISH])
    assert finish_of(events).reason == "done"


async def test_going_round_in_circles_gets_one_nudge_and_then_the_end(repository: Path) -> None:
    events = await events_of(repository, [bash("echo same")] * 20)
    observations = [event.message.content for event in observations_of(events)]
    assert finish_of(events).reason == "stuck"
    assert [("Do something else" in text) for text in observations].count(True) == 1
    assert "Do something else" in observations[3]


async def test_limits_end_the_run_with_the_patch_so_far(repository: Path) -> None:
    finished = finish_of(await events_of(repository, [EDIT, bash("true")], limits=Limits(steps=2)))
    assert finished.reason == "step_limit"
    assert "+    return a + b" in finished.patch
    used = Reply(message=bash("true"), usage=Usage(prompt_tokens=90, completion_tokens=20))
    finished = finish_of(await events_of(repository, [used, used], limits=Limits(tokens=100)))
    assert (finished.reason, finished.steps) == ("token_limit", 1)


async def test_a_command_that_outlasts_the_time_limit_is_cut_off(repository: Path) -> None:
    events = await events_of(repository, [bash("sleep 60")], limits=Limits(time_s=2))
    assert finish_of(events).reason == "time_limit"
    assert finish_of(events).duration_s < 10


async def test_tests_that_hang_leave_time_to_mend_what_they_wait_for(repository: Path) -> None:
    hangs = "until grep -q 'a + b' adder.py; do sleep 0.1; done"
    script = [EDIT, FINISH]
    events = await events_of(repository, script, test_command=hangs, limits=Limits(time_s=9))
    before = next(event for event in events if isinstance(event, TestsRun))
    assert (before.exit_code == 0, "(stopped after 3 s)" in before.output) == (False, True)
    assert finish_of(events).reason == "done"


async def test_the_user_can_stop_a_run_in_the_middle_of_a_command(repository: Path) -> None:
    stop = asyncio.Event()
    async with agent_in(repository, ScriptedPolicy([bash("sleep 60")]), stop=stop) as agent:
        events: list[AnyEvent] = []
        async for event in agent.run("wait"):
            events.append(event)
            if isinstance(event, ToolStarted):
                asyncio.get_running_loop().call_later(0.2, stop.set)
    assert finish_of(events).reason == "interrupted"


async def test_an_endpoint_that_fails_once_is_asked_again_and_twice_ends_the_run(repository: Path) -> None:
    gone = EngineError("it is gone")
    events = await events_of(repository, [gone, EDIT, gone, FINISH])
    assert finish_of(events).reason == "done"
    assert [event.error for event in events if isinstance(event, StepFailed)] == ["it is gone"] * 2
    finished = finish_of(await events_of(repository, [gone, gone]))
    assert (finished.reason, finished.message) == ("infrastructure", "it is gone")


async def test_a_denied_call_is_not_run_and_a_stop_ends_the_run_as_refused(repository: Path) -> None:
    permission = Told(iter(["deny", "stop"]))
    events = await events_of(repository, [EDIT, EDIT], permission=permission)
    assert (repository / "adder.py").read_text() == BUG
    assert "denied" in observations_of(events)[0].message.content
    assert finish_of(events).reason == "refused"


async def test_a_full_window_is_compacted_and_the_run_goes_on(repository: Path) -> None:
    noise = bash("seq 1 400")
    policy = ScriptedPolicy([noise, bash("seq 2 400"), bash("seq 3 400"), FINISH], context_tokens=2000)
    events = await events_of(repository, policy)
    compactions = [event for event in events if isinstance(event, HistoryCompacted)]
    assert compactions
    assert all(event.tokens_after < event.tokens_before for event in compactions)
    assert finish_of(events).reason == "done"
    assert all(step.prompt_tokens <= 2000 * 3 // 4 for step in steps_of(events))


async def test_a_task_too_large_for_the_window_says_so(repository: Path) -> None:
    events = await events_of(repository, ScriptedPolicy([], context_tokens=1000), task="word " * 2000)
    assert finish_of(events).reason == "token_limit"
    assert "too many for the window of 1000 tokens" in finish_of(events).message


async def test_a_run_can_be_replayed_from_its_trajectory(repository: Path) -> None:
    recorded = await events_of(repository, [EDIT, FINISH], test_command="true")
    git(repository, "checkout", "--quiet", ".")
    header = Header(id="a", created="2026-01-01T00:00:00Z", patchwright="0.1.0")
    policy = ReplayPolicy(Trajectory(header=header, events=tuple(recorded)))
    replayed = await events_of(repository, policy, test_command="true")
    assert finish_of(replayed).patch == finish_of(recorded).patch
    assert history_of(replayed) == history_of(recorded)


async def test_project_instructions_reach_the_policy(repository: Path) -> None:
    (repository / "AGENTS.md").write_text("Always use tabs.")
    policy = ScriptedPolicy([FINISH])
    await events_of(repository, policy)
    assert "Always use tabs." in policy.requests[0].messages[0].content


async def test_history_only_grows(repository: Path) -> None:
    policy = ScriptedPolicy([EDIT, AssistantMessage(content="hm"), bash("true"), FINISH])
    await events_of(repository, policy)
    for earlier, later in zip(policy.requests, policy.requests[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages


@pytest.mark.parametrize("cut", range(5, 20))
async def test_a_run_cut_off_anywhere_goes_on_with_roles_that_mistral_accepts(repository: Path, cut: int) -> None:
    """Whatever the last stored event is, calls without a result are answered and not run again."""
    two = calls(("execute_bash", {"command": "echo a >> log"}), ("execute_bash", {"command": "echo b >> log"}))
    script: list[Line] = [AssistantMessage(content="hm"), two, EDIT, FINISH]
    whole = await events_of(repository, script, test_command="true")
    earlier = whole[: min(cut, len(whole) - 1)]
    log = (repository / "log").read_text()
    policy = ScriptedPolicy([FINISH])
    events = await events_of(repository, policy, earlier=earlier, task="Go on." if cut % 2 else "")
    assert (repository / "log").read_text() == log
    assert_mistral_accepts(policy.requests[-1])
    answers = {event.message.tool_call_id: event.message.content for event in observations_of(events)}
    started = {event.call_id for event in earlier if isinstance(event, ToolStarted)}
    for call_id in unanswered(earlier):
        assert answers[call_id] == (INTERRUPTED if call_id in started else NOT_RUN)


def unanswered(events: list[AnyEvent]) -> set[str]:
    called = {call.id for event in events if isinstance(event, Replied) for call in event.message.tool_calls}
    return called - {event.message.tool_call_id for event in events if isinstance(event, ToolFinished)}


def assert_mistral_accepts(request: Request) -> None:
    checked: ChatCompletionRequest[Any] = ChatCompletionRequest.model_validate(CALLING["native"].body(request))
    MistralRequestValidatorV13().validate_request(checked)


def kinds(messages: tuple[Message, ...]) -> list[type]:
    return [type(message) for message in messages]


async def test_roles_alternate_after_errors_malformed_calls_and_denials(repository: Path) -> None:
    script: list[Line] = [
        AssistantMessage(content="no call"),
        EngineError("gone"),
        bash("exit 1"),
        bash("true"),
        FINISH,
    ]
    policy = ScriptedPolicy(script)
    await events_of(repository, policy, permission=Told(iter(["deny", "allow", "allow"])))
    for request in policy.requests:
        assert_mistral_accepts(request)
    assert kinds(policy.requests[-1].messages)[1:5] == [UserMessage, AssistantMessage, UserMessage, AssistantMessage]
    assert isinstance(policy.requests[-1].messages[-1], ToolMessage)


async def test_snapshots_are_taken_before_the_first_edit_and_after_each_change(repository: Path) -> None:
    events = await events_of(repository, [bash("true"), EDIT, bash("rm check_adder.py"), FINISH])
    labels = [event.label for event in events if isinstance(event, SnapshotTaken)]
    assert labels == ["before run s1", "after step 2", "after step 3"]
    assert isinstance(events[0], RunStarted)


async def test_the_test_command_runs_before_the_first_step(repository: Path) -> None:
    events = await events_of(repository, [EDIT, FINISH], test_command=TEST_COMMAND)
    runs = [(event.when, event.exit_code) for event in events if isinstance(event, TestsRun)]
    assert runs == [("before", 1), ("after", 0)]
