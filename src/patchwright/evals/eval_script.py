"""The script that runs an instance's tests: made where a row has none, and adapted to a work tree on this machine."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

START = ">>>>> Start Test Output"
END = ">>>>> End Test Output"
"""The markers that swebench's graders look for in the log."""

CONTAINER_TREE = "/testbed"
"""Where the official images have the work tree."""

_HEREDOC = "EOF_114329324912"
_CHANGED = re.compile(r"^diff --git a/.+ b/(.+)$", re.MULTILINE)
_ADDED = re.compile(r"^diff --git a/.+ b/(.+)\nnew file mode", re.MULTILINE)
_NOT_HERE = re.compile(
    r"\s*(source\s+\S*activate\b|conda\s|\.\s+\S*activate\b|locale-gen\b|sed\s.*/etc/|apt(-get)?\s|sudo\s"
    r"|export\s+(LANG|LANGUAGE|LC_ALL)="
    r"|git\s+config\s+--global\b|git\s+(status|show)\s*$|git\s+(-c\s+\S+\s+)?diff\s+[0-9a-f]{7,40}\s*$"
    r"|(python3?\s+-m\s+)?pip3?\s+(un)?install\b|python3?\s+setup\.py\s+(install|develop)\b)"
)
"""Lines of the official scripts that set the container up: the environment of this machine is made beforehand."""
_OWN_INDEX = (
    "# The sandbox shows .git read-only; what is checked out needs an index to write to.",
    'cp "$(command git rev-parse --git-dir)/index" /tmp/patchwright-index',
    'git() { GIT_INDEX_FILE=/tmp/patchwright-index command git "$@"; }',
)


def made_eval_script(base_commit: str, test_patch: str, test_command: str, tests: Sequence[str] = ()) -> str:
    """A script in the form of the official ones. The files `tests` are put back as they were, as are those that the
    test patch changes."""
    changed = [path for path in changed_files(test_patch) if path not in _ADDED.findall(test_patch)]
    touched = dict.fromkeys((*tests, *changed))
    reset = f"git checkout {base_commit} {shlex.join(touched)}" if touched else ":"
    # Lines that look empty are context of the last hunk: nothing but the end of the last line is taken off.
    whole = test_patch.removesuffix("\n")
    apply = f"git apply -v - <<'{_HEREDOC}'\n{whole}\n\n{_HEREDOC}" if whole.strip() else ":"
    lines = (
        *("#!/bin/bash", "set -uxo pipefail", f"cd {CONTAINER_TREE}", reset, apply),
        *(f": '{START}'", test_command, f": '{END}'", reset),
    )
    return "\n".join(lines) + "\n"


def changed_files(patch: str) -> Sequence[str]:
    """In the order of the patch, under the names that they have afterwards."""
    return _CHANGED.findall(patch)


def adapted(script: str, base_commit: str, tree: Path) -> str:
    """The script for `tree`: no container to activate and nothing to install, and `base_commit` is the only commit.

    The patch that it applies and the test command stay as they are, but for the place of the tree.
    """
    lines: list[str] = []
    heredoc_end = ""
    for line in script.removesuffix("\n").split("\n"):  # a patch may hold form feeds and carriage returns
        if heredoc_end or not _NOT_HERE.match(line):
            lines.append(line if heredoc_end else _moved(line, base_commit, tree))
        heredoc_end = _heredoc_end(line, heredoc_end)
    return "\n".join([f"cd {shlex.quote(str(tree))} || exit", *_OWN_INDEX, *lines]) + "\n"


def _moved(line: str, base_commit: str, tree: Path) -> str:
    moved = re.sub(rf"{CONTAINER_TREE}(?![\w.-])", lambda _: shlex.quote(str(tree)), line)
    return moved.replace(base_commit, "HEAD") if base_commit and moved.startswith("git ") else moved


def _heredoc_end(line: str, current: str) -> str:
    """The word that ends the here-document that the next line is in; empty where it is in none."""
    if current:
        return "" if line == current else current
    opened = re.search(r"<<\s*['\"]?(\w+)['\"]?\s*$", line)
    return opened[1] if opened else ""
