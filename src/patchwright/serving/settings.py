"""What a user can say about the gateway."""

from pathlib import Path

from pydantic import Field

from patchwright.schema.record import Record


class ServeSettings(Record):
    host: str = "127.0.0.1"
    """The address to listen at. Any but loopback asks for keys."""

    port: int = Field(default=8000, ge=0, le=65535)
    """0: one that is free."""

    upstreams: tuple[str, ...] = ()
    """Endpoints of one model, such as http://gpu-box:8000/v1, among which requests are balanced."""

    replicas: int = Field(default=1, ge=1, le=64)
    """Embedded engines on this machine, each with its share of the cores, among which requests are balanced."""

    concurrency: int = Field(default=8, ge=1, le=1024)
    """Answers that another engine, or each endpoint, is asked for at once. The embedded one has its slots."""

    queue: int = Field(default=64, ge=0, le=100_000)
    """Requests that may wait; the next one is told to come back later."""

    max_tokens: int | None = Field(default=None, ge=1)
    """Of one answer. Who asks for more, or does not say, gets so many at most; None: as many as the window holds."""

    body_bytes: int = Field(default=16_000_000, ge=1000)
    """The largest body that is read."""

    adapters_dir: Path | None = None
    """The directory that owners of keys may load adapters from while the server runs. Without it nobody may."""

    system_prompt: Path | None = None
    """A file with the system prompt of conversations that bring none. Without it none is made up."""

    allow_hosts: tuple[str, ...] = ()
    """Names, beside the address, that the server may be called by."""

    allow_origins: tuple[str, ...] = ()
    """Web pages that may use the server, such as http://localhost:3000."""
