"""What Patchwright uses of Ray, whose own annotations leave most of it unknown."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypedDict, TypeVar

T = TypeVar("T")

class ObjectRef(Awaitable[T], Generic[T]):
    pass

class RemoteFunction(Protocol[T]):
    def options(self, *, name: str) -> RemoteFunction[T]: ...
    def remote(self, *arguments: object) -> ObjectRef[T]: ...

class Node(TypedDict):
    Alive: bool
    Resources: dict[str, float]

def init(
    *,
    address: str,
    num_cpus: int | None = ...,
    include_dashboard: bool = ...,
    log_to_driver: bool = ...,
    configure_logging: bool = ...,
) -> object: ...
def shutdown() -> None: ...
def nodes() -> list[Node]: ...
def put(value: T) -> ObjectRef[T]: ...
def cancel(reference: ObjectRef[Any], *, force: bool = ...) -> None: ...
def remote(
    *, num_cpus: float, memory: int, scheduling_strategy: str, max_retries: int
) -> Callable[[Callable[..., T]], RemoteFunction[T]]: ...
