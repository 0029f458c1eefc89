"""The other tools, and how a raw call becomes one of theirs."""

import json
from pathlib import Path

import pytest

from patchwright.schema.messages import ToolCall
from patchwright.tools.toolbox import MalformedCall, Toolbox

from .conftest import CallTool


async def test_the_shell_keeps_its_state_and_says_how_a_command_ended(tree: Path, call: CallTool) -> None:
    (tree / "sub").mkdir()
    moved = await call("execute_bash", command="cd sub && export WORD=kept; f() { echo $WORD; }")
    assert "[now in sub]" in moved.text
    seen = await call("execute_bash", command="f; exit 3")
    assert seen.text == "kept\n[exit code 3]"


async def test_a_command_that_outlasts_its_time_says_so(call: CallTool) -> None:
    seen = await call("execute_bash", command="echo started; sleep 60", timeout=0.5)
    assert seen.text.startswith("started\n[stopped after 0.5 s, before its end")


async def test_long_output_keeps_head_and_tail(call: CallTool) -> None:
    seen = await call("execute_bash", command="seq 1 100000")
    assert seen.text.startswith("1\n2\n")
    assert "99999\n100000\n[exit code 0]" in seen.text
    assert "left out" in seen.text
    assert len(seen.text) < 4500


async def test_input_to_a_running_program_is_explained(call: CallTool) -> None:
    seen = await call("execute_bash", command="y", is_input="true")
    assert seen.failed
    assert "nothing was run" in seen.text


async def test_search_finds_lines_and_respects_gitignore(tree: Path, call: CallTool) -> None:
    (tree / ".gitignore").write_text("build/\n")
    for path in ("a.py", "build/a.py"):
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text("needle = 1\nhay = 2\n")
    seen = await call("search", pattern="need.e")
    assert "a.py" in seen.text
    assert "needle = 1" in seen.text
    assert "build" not in seen.text


async def test_search_takes_a_bad_regex_as_text_and_says_what_it_searched(tree: Path, call: CallTool) -> None:
    (tree / "a.py").write_text("f(x\n")
    assert "f(x" in (await call("search", pattern="f(x")).text
    assert "no match in 1 file" in (await call("search", pattern="absent")).text
    assert (await call("search", pattern="x", path="nowhere")).failed


async def test_plan_is_shown_back_and_finish_ends_the_run(call: CallTool) -> None:
    steps = [{"step": "look", "status": "done"}, {"step": "fix", "status": "doing"}]
    assert (await call("plan", steps=steps)).text == "[x] look\n[>] fix"
    assert (await call("finish", message="done")).finished


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("serch", "{}", "there is no tool 'serch'; did you mean search?"),
        ("search", "{", "not complete JSON"),
        ("search", "{}", 'the argument "pattern" is missing'),
        ("search", '{"pattern": "x", "dir": "."}', 'there is no argument "dir"'),
        ("execute_bash", '{"command": ["ls"]}', '"command": input should be a valid string'),
        ("str_replace_editor", '{"command": "insert", "path": "a"}', 'insert needs the argument "insert_line"'),
    ],
)
async def test_a_malformed_call_says_what_was_wrong(toolbox: Toolbox, name: str, arguments: str, told: str) -> None:
    with pytest.raises(MalformedCall) as error:
        await toolbox.call(ToolCall(id="call00001", name=name, arguments=arguments))
    assert told in str(error.value)


async def test_slips_that_leave_no_doubt_are_forgiven(tree: Path, toolbox: Toolbox) -> None:
    (tree / "a.txt").write_text("1\n2\n3\n")
    arguments = {"command": "view", "path": "a.txt", "view_range": "[2, 3]", "old_str": None}
    call = ToolCall(id="call00001", name="str_replace_editor", arguments=json.dumps(arguments))
    assert (await toolbox.call(call)).text.startswith("     2\t2")


def test_schemas_are_flat_enough_for_small_models(toolbox: Toolbox) -> None:
    text = json.dumps([spec.model_dump() for spec in toolbox.specs])
    assert "$defs" not in text
    assert "anyOf" not in text
    assert len(text) < 900 * 5
