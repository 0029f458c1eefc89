"""Programs of ours beside a work tree: what they do, and which of its lines they run."""

from pathlib import Path

import pytest

from patchwright.config import load_settings
from patchwright.repo.testing.program import Executed, ran, traced
from patchwright.sandbox.kinds import open_sandbox

COMMAND = "PYTHONPATH=. python3 $REPRODUCTION"
SOURCE = """def noted(function):
    count(1)
    return function


def count(number):
    return number + 1


@noted
def doubled(number):
    return 2 * count(number)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "a tree"
    tree.mkdir()
    (tree / "lib.py").write_text(SOURCE)
    (tree / "broken.py").write_text("from lib import count\n\ncount(1)\nraise ImportError('no')\n")
    return tree


async def test_a_program_runs_beside_the_tree_and_leaves_nothing(tree: Path) -> None:
    async with open_sandbox("bubblewrap", tree, load_settings().sandbox) as sandbox:
        result = await ran("import lib, sys\nprint(lib.doubled(2))\nsys.exit(3)", COMMAND, sandbox, timeout_s=30)
        assert (result.output, result.exit_code) == ("6\n", 3)
        left = await sandbox.run("ls /tmp; ls", timeout_s=30)
        assert "patchwright-" not in left.output


@pytest.mark.parametrize("end", ["", "\nraise SystemExit(1)", "\n1 / 0"])
async def test_its_lines_are_known_but_those_that_importing_runs(tree: Path, end: str) -> None:
    program = f"try:\n    import broken\nexcept ImportError:\n    import lib\nlib.doubled(2){end}"
    async with open_sandbox("bubblewrap", tree, load_settings().sandbox) as sandbox:
        assert (await traced(program, COMMAND, sandbox, timeout_s=30)).lines == {"lib.py": (7, 12)}


async def test_of_what_does_not_start_nothing_is_known(tree: Path) -> None:
    async with open_sandbox("bubblewrap", tree, load_settings().sandbox) as sandbox:
        assert await traced("import lib", "false $REPRODUCTION", sandbox, timeout_s=30) == Executed()


KEPT = """_kept = []


def kept():
    if not _kept:
        _kept.append(made())
    return _kept[0]


def made():
    return 1
"""


@pytest.mark.parametrize("end", ["", "\nraise ValueError(lib.kept())"])
async def test_what_is_made_on_first_use_is_told_apart(tree: Path, end: str) -> None:
    (tree / "lib.py").write_text(KEPT)
    async with open_sandbox("bubblewrap", tree, load_settings().sandbox) as sandbox:
        executed = await traced(f"import lib\nlib.kept(){end}", COMMAND, sandbox, timeout_s=30)
    assert executed == Executed(lines={"lib.py": (5, 7)}, set_up={"lib.py": (6, 11)})


@pytest.mark.parametrize("again", ["raise ValueError", "import time; time.sleep(60)"])
async def test_a_second_run_that_ends_otherwise_or_never_says_nothing(tree: Path, again: str) -> None:
    (tree / "lib.py").write_text(KEPT)
    program = f"import lib\nif lib._kept: {again}\nlib.kept()"
    async with open_sandbox("bubblewrap", tree, load_settings().sandbox) as sandbox:
        executed = await traced(program, COMMAND, sandbox, timeout_s=3)
    assert executed == Executed(lines={"lib.py": (5, 6, 7, 11)})
