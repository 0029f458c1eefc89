"""Real trajectories: of the agent and of a resolution, in real repositories, with what models and files may hold."""

from pathlib import Path

from patchwright.policy.scripted import answers, calls
from patchwright.resolve.resolution import Plan
from patchwright.schema.events import AnyEvent
from patchwright.schema.messages import AssistantMessage
from tests.agent.harness import events_of
from tests.conftest import TEST_COMMAND
from tests.resolve.workshop import FIX, PYTEST, WRONG, resolve, sums

HOSTILE = (
    "<script>document.title = 'taken'</script>\n"
    "</pre></article><img src=x onerror=\"document.title = 'taken'\">\n"
    "{{ 7 * 7 }} {% raw %} javascript:alert(1) \x1b[31mred\x1b[0m \x1b]0;title\x07\n"
    "access = 'user\u202e \u2066// is admin\u2069 \u2066'; zero\u200bwidth; nul \x00; \r over\n" + "long " * 4_000
)
"""What an attacker would have a model, a file or a command's output say."""


async def hostile_run(repository: Path) -> list[AnyEvent]:
    """A run of the agent in which the issue, the model, a file's contents and a change are hostile."""
    (repository / "hostile.txt").write_text(HOSTILE, newline="")
    script = [
        calls(("execute_bash", {"command": "cat hostile.txt"}), text=f"I look. {HOSTILE[:300]}"),
        calls(
            ("str_replace_editor", {"command": "create", "path": "made.html", "file_text": HOSTILE[:400]}),
            text="I write it down.",
        ),
        calls(("execute_bash", {"command": "seq 1 60; exit 3"})),
        AssistantMessage(content="<b>no call</b>"),
        calls(
            (
                "str_replace_editor",
                {"command": "str_replace", "path": "adder.py", "old_str": "a - b", "new_str": "a + b"},
            )
        ),
        calls(("finish", {"message": "`add` adds now."})),
    ]
    return await events_of(repository, script, test_command=TEST_COMMAND, task=f"Make add add.\n{HOSTILE[:250]}")


async def resolution(directory: Path) -> list[AnyEvent]:
    """A resolution with a wrong candidate, a verified one, and one that was proposed twice."""
    return await resolve(sums(directory), [answers("I cannot. <script>", WRONG, FIX, FIX)], Plan(PYTEST))
