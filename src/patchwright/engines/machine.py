"""What this machine has for an engine: cores that it may use."""

import os
from pathlib import Path

import psutil


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Physical cores, or fewer where this process is confined to fewer. A second thread on a core only
    costs: both wait for the same memory."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed, cgroup_quota(cgroup) or physical))


def cgroup_quota(cgroup: Path) -> int | None:
    """Whole cores that the control group grants (cpu.max: microseconds in each period), None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
