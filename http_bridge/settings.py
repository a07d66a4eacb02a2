"""Settings of the bridge, from VOUCH_HTTP_..."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from runtime.access.tls import UpstreamTlsSettings
from runtime.settings import Target


class HttpSettings(UpstreamTlsSettings):
    """Where the services behind are, and how long to wait for them."""

    prefix: ClassVar[str] = "VOUCH_HTTP_"

    scorer: Target = "127.0.0.1:50051"
    agent: Target = "127.0.0.1:50052"
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    max_body_bytes: Annotated[int, Field(gt=0)] = 1 << 20
    max_batch_bytes: Annotated[int, Field(gt=0)] = 16 << 20
    """Of a list of orders in one body."""
    max_lines: Annotated[int, Field(gt=0)] = 100_000
    """Lines of JSON in one request, blank ones among them."""
    max_lines_bytes: Annotated[int, Field(gt=0)] = 256 << 20
    """Of all lines of a request together, unpacked."""
    max_refused_lines: Annotated[int, Field(gt=0)] = 1000
    """Lines that are no order, after which a request ends: refusing costs more than sending."""
    body_seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    """For the whole body to arrive; of lines, for the next of them."""
    api_keys: Path | None = None
    """File of `vouch keys`; with it every path but health and /docs needs a key, which also goes on to the service."""
    api_key: SecretStr | None = None
    """The bridge's own key for the services, for callers that show none: for health, say."""
    insecure: bool = False
