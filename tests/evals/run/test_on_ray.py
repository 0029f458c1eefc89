"""The runner on a real Ray cluster of this machine."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError
from patchwright.evals.run.on_ray import OnRay, Reservation, cluster
from patchwright.evals.run.work import Here
from tests.engines.waiting import wait_until
from tests.evals.scripted import ScriptedBenchmark, ScriptedScaffold, run_all, run_at, table

SMALL = Reservation(cpus=1, memory_bytes=100_000_000)
ROOT = Path(__file__).parents[3]

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(autouse=True)
def _found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted classes are not installed anywhere."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


async def test_a_killed_worker_changes_nothing_in_the_table(tmp_path: Path) -> None:
    benchmark = ScriptedBenchmark(6)
    moves = ScriptedScaffold({"s__1": "wrong", "s__3": "crash"}).moves
    await run_all(tmp_path / "here", benchmark, ScriptedScaffold(moves))
    log = tmp_path / "log"
    scaffold = ScriptedScaffold(moves, wait_s=0.5, log=log)
    with cluster("local", SMALL, cpus=2):
        going_on = asyncio.create_task(
            run_at(tmp_path / "there", benchmark, OnRay(Here(benchmark, scaffold), SMALL), workers=2)
        )
        await asyncio.to_thread(wait_until, lambda: log.exists() and log.read_text().endswith("\n"), 120)
        killed = int(log.read_text().split()[0])
        os.kill(killed, signal.SIGKILL)
        made = await going_on
    assert table(tmp_path / "there") == table(tmp_path / "here")
    assert {attempt.instance_id: attempt.tries for attempt in made} == {f"s__{n}": 1 + (n == 3) for n in range(6)}
    workers = {int(line.split()[0]) for line in log.read_text().splitlines()}
    assert killed in workers
    assert os.getpid() not in workers


async def test_a_reservation_that_fits_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no machine of the cluster has 1000 CPUs"):  # noqa: SIM117
        with cluster("local", Reservation(cpus=1000), cpus=1):
            pass


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "[::1]:9", "127.0.0.1:99999"])
def test_where_nobody_answers_is_said_at_once(address: str) -> None:
    with pytest.raises(BenchmarkError, match="no Ray cluster at "), cluster(address, SMALL):
        pass
