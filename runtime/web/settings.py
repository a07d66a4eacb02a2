"""Settings of all HTTP listeners, from VOUCH_WEB_...: REST, console, metrics and edge."""

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
    """Allowed hosts, and timeouts and limits of connections."""

    prefix: ClassVar[str] = "VOUCH_WEB_"

    allowed_hosts: Hosts = ()
    """Host header names allowed without keys, in addition to loopback names and the address of the server."""
    header_seconds: Seconds = 10.0
    """Header timeout, from the first byte of a request or from the connection."""
    body_seconds: Seconds = 15.0
    """Timeout for the rest of an unread body, for a form of the console, and for the whole request at the edge."""
    idle_seconds: Seconds = 5.0
    """Keep-alive timeout between two requests; the edge has VOUCH_EDGE_IDLE_SECONDS."""
    write_seconds: Seconds = 30.0
    """Write timeout: how long a client may read nothing of a response."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Open connections per listener and process. Above it, the connection that has waited longest is closed."""
