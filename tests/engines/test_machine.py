from pathlib import Path

import psutil
import pytest

from patchwright.engines.machine import cgroup_quota, usable_cores


@pytest.mark.parametrize(
    ("content", "cores"), [("max 100000", None), ("400000 100000", 4), ("150000 100000", 1), ("50000 100000", 1)]
)
def test_a_quota_is_counted_in_whole_cores(content: str, cores: int | None, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(content + "\n")
    assert cgroup_quota(tmp_path) == cores


def test_a_container_of_one_core_gets_one_thread(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert usable_cores(tmp_path) == 1


def test_without_a_limit_every_physical_core_is_used(tmp_path: Path) -> None:
    assert 1 <= usable_cores(tmp_path) <= (psutil.cpu_count(logical=True) or 1)
