"""Settings of the bridge, from VOUCH_HTTP_..."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from runtime.access.tls import UpstreamTlsSettings
from runtime.settings import Target


class HttpSettings(UpstreamTlsSettings):
    """Addresses of the services, timeouts, limits and keys."""

    prefix: ClassVar[str] = "VOUCH_HTTP_"

    scorer: Target = "127.0.0.1:50051"
    agent: Target = "127.0.0.1:50052"
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    max_body_bytes: Annotated[int, Field(gt=0)] = 1 << 20
    max_batch_bytes: Annotated[int, Field(gt=0)] = 16 << 20
    """For a list of orders in one body."""
    max_lines: Annotated[int, Field(gt=0)] = 100_000
    """Lines in one request, including blank ones."""
    max_lines_bytes: Annotated[int, Field(gt=0)] = 256 << 20
    """Of all lines of a request together, decompressed."""
    max_refused_lines: Annotated[int, Field(gt=0)] = 1000
    """Invalid lines after which a request ends, because rejecting a line costs more than sending it."""
    body_seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    """Time limit for the whole body to arrive; for lines, for the next line."""
    api_keys: Path | None = None
    """File of `vouch keys`. With it, all paths but health and /docs need a key, which the service gets too."""
    api_key: SecretStr | None = None
    """The bridge's own key for the services, used for local callers without a key, such as health checks."""
    insecure: bool = False
