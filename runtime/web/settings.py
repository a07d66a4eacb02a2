"""Settings of every HTTP listener, from VOUCH_WEB_...: REST, console, metrics ports and the edge."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from runtime.settings import Settings

Seconds = Annotated[float, Field(gt=0, le=3600)]


def _split(value: object) -> object:
    return [one.strip().lower() for one in value.split(",") if one.strip()] if isinstance(value, str) else value


Hosts = Annotated[
    tuple[Annotated[str, Field(pattern=r"^(\*|[a-z0-9._-]+|\[[0-9a-f:.]+\])$")], ...], BeforeValidator(_split)
]


class WebSettings(Settings):
    """Which hosts are answered, and how long and how many connections may wait."""

    prefix: ClassVar[str] = "VOUCH_WEB_"

    allowed_hosts: Hosts = ()
    """Names in the Host header that are answered without keys, beside those of loopback and the server's own address."""
    header_seconds: Seconds = 10.0
    """For a request's headers to arrive, from its first byte, or from the connection on."""
    body_seconds: Seconds = 15.0
    """For the rest of a body that is no longer read, for a form of the console, and at the edge for the whole request."""
    idle_seconds: Seconds = 5.0
    """How long a connection is kept between two requests; the edge has VOUCH_EDGE_IDLE_SECONDS."""
    write_seconds: Seconds = 30.0
    """How long a client may take nothing of an answer."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Open connections of one listener in one process. Over it the one that waits longest is closed."""
