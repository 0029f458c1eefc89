"""The first two messages of a run: who the policy is and where it works, and what it is asked to do."""

from collections.abc import Mapping

from patchwright.agent.profile import Profile
from patchwright.agent.tests import passed, report
from patchwright.schema.events import TestsRun
from patchwright.schema.messages import SystemMessage, UserMessage

INSTRUCTIONS_CHARS = 8_000


def system_message(profile: Profile, work_tree: str, instructions: str = "") -> SystemMessage:
    """`instructions`: the project's own, from its AGENTS.md."""
    text = profile.prompt(work_tree)
    if instructions.strip():
        text += f"\n\n# Instructions of this project\n\n{instructions.strip()[:INSTRUCTIONS_CHARS]}"
    return SystemMessage(content=text)


def task_message(task: str, tests: TestsRun | None, shown: Mapping[str, str]) -> UserMessage:
    """`tests`: the test command's run on the untouched tree. `shown`: files to show beforehand, by path."""
    sections = [task.strip()]
    sections += [f"Contents of {path}:\n```\n{text}\n```" for path, text in shown.items()]
    if tests and passed(tests):
        sections.append(f"`{tests.command}` passes before your change and has to pass after it.")
    elif tests:
        sections.append(report(tests))
    return UserMessage(content="\n\n".join(sections))
