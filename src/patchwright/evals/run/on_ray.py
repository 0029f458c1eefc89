"""A Ray cluster as the place where attempts are made: a task for each rollout, and one for each grading.

The run's directory must be the same on all machines, and so must the endpoint. A task whose worker or machine dies is
started again by Ray; that is no try of the scaffold's.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from patchwright.errors import BenchmarkError, ConfigError
from patchwright.evals.run.work import Here, Job
from patchwright.evals.scaffolds.base import Outcome
from patchwright.schema.instance import Grade, Prediction

if TYPE_CHECKING:
    from ray import ObjectRef, RemoteFunction

T = TypeVar("T")

CONNECT_S = 20.0
"""For a connection to the cluster's head."""
WORKER_DEATHS = 3
"""As many may happen to one task before it counts as crashed."""


@dataclass(frozen=True)
class Reservation:
    """What a task holds on its machine while it runs."""

    cpus: float = 1.0
    memory_bytes: int = 2 * 2**30


class OnRay:
    """Sends both halves of an attempt to the cluster, spread over its machines."""

    def __init__(self, here: Here, reservation: Reservation) -> None:
        import ray

        self._here = ray.put(here)
        self._rollout = _spread(_rollout, reservation)
        self._grade = _spread(_grade, reservation)

    async def rollout(self, job: Job) -> Outcome:
        return await _result(self._rollout.options(name=f"rollout {_name(job)}").remote(self._here, job))

    async def grade(self, job: Job, prediction: Prediction) -> Grade:
        return await _result(self._grade.options(name=f"grade {_name(job)}").remote(self._here, job, prediction))


@contextmanager
def cluster(address: str, reservation: Reservation, cpus: int | None = None) -> Generator[None]:
    """A connection to the cluster at the address; "local" starts one of this machine, which ends with it.

    `cpus` are what a local one has, by default the machine's.

    Raises ConfigError when Ray is not installed, and BenchmarkError when nothing answers or no machine is large enough.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ConfigError("Ray is not installed", hint="pip install 'patchwright[ray]'") from None
    _check_answers(address)
    try:
        ray.init(address=address, num_cpus=cpus, include_dashboard=False, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError) as error:
        raise BenchmarkError(f"no Ray cluster at {address}: {error}") from None
    try:
        _check_size(reservation)
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes. Where nothing says what machine it is, Ray looks for it."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise BenchmarkError(
            f"no Ray cluster at {address}: {error}", hint="`ray status` on its head says whether it runs"
        ) from None


def _check_size(reservation: Reservation) -> None:
    """A task that fits nowhere would wait for ever."""
    import ray

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {"CPU": reservation.cpus, "memory": reservation.memory_bytes}
    if not any(all(machine.get(name, 0) >= amount for name, amount in wanted.items()) for machine in machines):
        raise BenchmarkError(
            f"no machine of the cluster has {reservation.cpus:g} CPUs and {reservation.memory_bytes / 2**30:.1f} GiB",
            hint="reserve less with --ray-cpus and --ray-memory",
        )


async def _result(reference: "ObjectRef[T]") -> T:
    """What the task returns; a task that nobody waits for any more is ended."""
    import ray

    try:
        return await reference
    except asyncio.CancelledError:
        ray.cancel(reference, force=True)
        raise


def _spread(task: Callable[..., T], reservation: Reservation) -> "RemoteFunction[T]":
    import ray

    return ray.remote(
        num_cpus=reservation.cpus,
        memory=reservation.memory_bytes,
        scheduling_strategy="SPREAD",
        max_retries=WORKER_DEATHS,
    )(task)


def _rollout(here: Here, job: Job) -> Outcome:
    return asyncio.run(here.rollout(job))


def _grade(here: Here, job: Job, prediction: Prediction) -> Grade:
    return asyncio.run(here.grade(job, prediction))


def _name(job: Job) -> str:
    return f"{job.instance.instance_id} {job.terms.number}"
