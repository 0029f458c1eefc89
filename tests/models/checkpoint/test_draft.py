"""Files that take their name when they are whole, whatever ends the program that writes them."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.errors import ModelError
from patchwright.models.checkpoint.draft import appearing

HALF_WAY = """
import sys, time
from pathlib import Path
from patchwright.models.checkpoint.draft import appearing
with appearing(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""


def test_whoever_is_first_keeps_what_was_written(tmp_path: Path) -> None:
    target = tmp_path / "result"

    def write() -> None:
        with appearing(target) as draft:
            draft.write_text("second")
            target.write_text("first")

    with pytest.raises(ModelError, match="is there already"):
        write()
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_that_leads_nowhere_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "result").symlink_to("nowhere")
    with pytest.raises(ModelError, match="is there already"), appearing(tmp_path / "result"):
        pass


def test_what_a_killed_program_left_is_removed_and_what_another_writes_is_not(tmp_path: Path) -> None:
    target = tmp_path / "result[1]"
    command = [sys.executable, "-c", HALF_WAY, str(target)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second,
    ):
        assert first.stdout
        assert second.stdout
        assert [first.stdout.readline(), second.stdout.readline()] == ["written\n"] * 2
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert len(list(tmp_path.iterdir())) == 2
        with appearing(target) as draft:
            draft.write_text("whole")
            assert len(list(tmp_path.iterdir())) == 2
        second.kill()
    assert target.read_text() == "whole"


def test_what_cannot_fit_is_not_begun(tmp_path: Path) -> None:
    too_large = shutil.disk_usage(tmp_path).total + 1
    with (
        pytest.raises(ModelError, match=r"not enough space in .*: result needs [\d,]+ bytes, [\d,]+ are free"),
        appearing(tmp_path / "result", too_large),
    ):
        pytest.fail("begun")
    assert list(tmp_path.iterdir()) == []
