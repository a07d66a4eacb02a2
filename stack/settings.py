"""Settings of what composes processes: the ports of `vouch up`, and the edge."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from runtime.settings import Settings

Port = Annotated[int, Field(ge=1, le=65_535)]


class StackSettings(Settings):
    """Ports of `vouch up` that no service's own settings name."""

    prefix: ClassVar[str] = "VOUCH_STACK_"

    bridge_ml_port: Port = 8000
    bridge_agent_port: Port = 8001
    edge_port: Port = 8080


class EdgeSettings(Settings):
    """TLS of the edge: its own certificate, and how it reaches scorer and agent."""

    prefix: ClassVar[str] = "VOUCH_EDGE_"

    tls_certificate: Path | None = None
    tls_key: Path | None = None
    services_tls_ca: Path | None = None
    """The services' CA; with it the edge calls them by TLS and expects the name localhost or the address 127.0.0.1."""
    services_tls_certificate: Path | None = None
    services_tls_key: Path | None = None

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        for place in ("", "services_"):
            certificate, key = getattr(self, f"{place}tls_certificate"), getattr(self, f"{place}tls_key")
            if (certificate is None) != (key is None):
                name = f"{self.prefix}{place.upper()}TLS"
                raise ValueError(f"{name}_CERTIFICATE and {name}_KEY belong together")
        if self.services_tls_certificate is not None and self.services_tls_ca is None:
            raise ValueError(f"{self.prefix}SERVICES_TLS_CERTIFICATE needs {self.prefix}SERVICES_TLS_CA")
        return self
