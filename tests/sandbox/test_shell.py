"""One shell, as it seems, over many commands: what carries over, and what never breaks it."""

import asyncio
from pathlib import Path

import pytest

from patchwright.errors import ToolError
from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import output_of

_ENDINGS = {
    "exit 3": 3,
    "exec true": 0,
    "if then": 2,
    "echo 'never closed": 2,
    "kill -9 $$": 137,
    "kill -TERM $$": 143,
    "set -e; false; echo not reached": 1,
    "set -u; echo $missing": 127,
    "trap 'true' EXIT; exit 4": 4,
    "exec >&- 2>&-": 0,
    "declare() { :; }; printf() { :; }": 0,
    "(kill -9 $BASHPID)": 137,
}


async def test_directory_variables_functions_and_options_carry_over(sandbox: Sandbox) -> None:
    await output_of(
        sandbox,
        """cd /usr/lib; plain='a  b'; export EXPORTED=$'two\\nlines'; list=(1 'two 2'); declare -A map=([k]=v)
        greet() { echo "hi $1, $plain"; }; shopt -s extglob nullglob; set -o pipefail; umask 027; alias ll='ls -l'""",
    )
    told = await output_of(
        sandbox,
        """pwd; greet you; echo "${list[1]} ${map[k]}"; bash -c 'echo "$EXPORTED"'; shopt -q extglob nullglob
        echo $?; umask; [[ -o pipefail ]] && echo pipefail; alias ll; cd ->/dev/null; pwd""",
    )
    assert told == (
        f"/usr/lib\nhi you, a  b\ntwo 2 v\ntwo\nlines\n0\n0027\npipefail\nalias ll='ls -l'\n{sandbox.root}\n"
    )


async def test_an_unset_variable_stays_unset(sandbox: Sandbox) -> None:
    await output_of(sandbox, "unset PAGER")
    assert await output_of(sandbox, "echo ${PAGER-none}") == "none\n"


async def test_no_ending_loses_the_state_or_holds_the_shell(sandbox: Sandbox) -> None:
    await output_of(sandbox, "cd /usr; kept=yes")
    for command, exit_code in _ENDINGS.items():
        result = await sandbox.run(command, timeout_s=30)
        assert (command, result.exit_code) == (command, exit_code)
        assert (
            await output_of(sandbox, "builtin unset -f declare printf; echo $kept; pwd; false; true") == "yes\n/usr\n"
        )


async def test_what_a_command_did_before_it_exits_is_kept(sandbox: Sandbox) -> None:
    await sandbox.run("cd /usr; set -e; kept=1; exit 3", timeout_s=30)
    await sandbox.run("kept=2; trap 'echo bye' EXIT", timeout_s=30)
    assert await output_of(sandbox, "echo $kept; pwd; false; echo on") == "2\n/usr\non\n"


async def test_a_fresh_command_neither_sees_nor_leaves_anything(sandbox: Sandbox) -> None:
    await output_of(sandbox, "cd /usr; export seen=1; f() { :; }")
    fresh = await sandbox.run("echo ${seen-unset}; pwd; type -t f; cd /; export left=1", timeout_s=30, fresh=True)
    assert (fresh.output, fresh.cwd) == (f"unset\n{sandbox.root}\n", str(sandbox.root))
    assert await output_of(sandbox, "echo ${left-unset} $seen; pwd") == "unset 1\n/usr\n"


async def test_a_result_tells_how_it_went(sandbox: Sandbox) -> None:
    result = await sandbox.run("echo out; echo err >&2; cd /usr; printf '\\xff'; (exit 7)", timeout_s=30)
    assert (result.output, result.exit_code, result.cwd) == ("out\nerr\n\ufffd", 7, "/usr")
    assert (result.timed_out, result.omitted_bytes) == (False, 0)
    assert 0 < result.duration_s < 30


async def test_messages_name_bash_and_the_line_of_the_command(sandbox: Sandbox) -> None:
    result = await sandbox.run("true\nno-such-command", timeout_s=30)
    assert result.output == "bash: line 2: no-such-command: command not found\n"


async def test_a_directory_that_has_gone_gives_way_to_the_work_tree(sandbox: Sandbox) -> None:
    await output_of(sandbox, "mkdir gone && cd gone && rmdir ../gone")
    assert await output_of(sandbox, "pwd") == f"{sandbox.root}\n"


async def test_a_command_may_be_longer_than_an_argument_may_be(sandbox: Sandbox) -> None:
    text = "x" * 300_000
    assert await output_of(sandbox, f"wc -c <<'END'\n{text}\nEND\n") == "300001\n"


async def test_a_command_cannot_wait_for_input(sandbox: Sandbox) -> None:
    assert (await sandbox.run("cat; read line", timeout_s=30)).exit_code == 1


async def test_a_nul_byte_is_refused_rather_than_cut_at(sandbox: Sandbox) -> None:
    with pytest.raises(ToolError, match="NUL"):
        await sandbox.run("echo a\0b", timeout_s=30)


async def test_half_a_surrogate_pair_is_no_reason_to_fail(sandbox: Sandbox) -> None:
    assert (await sandbox.run("echo 'a\ud83db'", timeout_s=30)).output == "a?b\n"


async def test_a_full_disk_does_not_stop_the_shell(work_tree: Path, settings: SandboxSettings) -> None:
    small = settings.model_copy(update={"scratch_bytes": 1 << 20})
    async with open_sandbox("bubblewrap", work_tree, small) as sandbox:
        full = await sandbox.run("head -c 2000000 /dev/zero > /tmp/big; kept=1", timeout_s=30)
        assert "No space left" in full.output
        assert await output_of(sandbox, "echo $kept; rm /tmp/big") == "1\n"


async def test_calls_that_come_at_once_are_taken_in_turn(sandbox: Sandbox) -> None:
    commands = [f"n=$((n + 1)); echo $n {i}" for i in range(5)]
    results = await asyncio.gather(*(sandbox.run(command, timeout_s=30) for command in commands))
    assert [result.output for result in results] == [f"{i + 1} {i}\n" for i in range(5)]


async def test_two_sandboxes_do_not_know_of_each_other(work_tree: Path, settings: SandboxSettings) -> None:
    async with (
        open_sandbox("bubblewrap", work_tree, settings) as one,
        open_sandbox("bubblewrap", work_tree, settings) as other,
    ):
        await output_of(one, "cd /usr; echo 1 > /tmp/mine; sleep 1000 &")
        assert await output_of(other, "pwd; ls /tmp/mine 2>&1 || pgrep sleep || true") != "/usr\n"
        assert "mine" not in await output_of(other, "ls /tmp; pgrep -c sleep || true")
