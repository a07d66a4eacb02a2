"""Settings of what composes processes: the ports of `vouch up`, and the edge."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from runtime.access.loopback import is_loopback
from runtime.settings import Settings, Target

KEYS_OF_SERVICES: Final = ("VOUCH_ML_API_KEYS", "VOUCH_AGENT_API_KEYS")
"""With these a service asks every caller for a key. A client CA is none: the caller is then the edge."""
Port = Annotated[int, Field(ge=1, le=65_535)]


class StackSettings(Settings):
    """Ports of `vouch up` that no service's own settings name."""

    prefix: ClassVar[str] = "VOUCH_STACK_"

    bridge_ml_port: Port = 8000
    bridge_agent_port: Port = 8001
    edge_port: Port = 8080
    bridge_workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes of each REST door."""


def _listed(value: object) -> object:
    return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value


Targets = Annotated[tuple[Target, ...], BeforeValidator(_listed)]
Origins = Annotated[
    tuple[Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$")], ...], BeforeValidator(_listed)
]


class EdgeSettings(Settings):
    """The edge: where it listens, its TLS, what is behind it, and whom it lets in how often."""

    prefix: ClassVar[str] = "VOUCH_EDGE_"

    address: Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")] = "127.0.0.1"
    """Of which interface it takes calls; beyond loopback only by TLS."""
    insecure: bool = False
    """Take calls from elsewhere without TLS: where something in front of it has it."""
    services_have_keys: bool = False
    """Scorer and agent ask every caller for an API key. Known by itself where the edge has their settings."""
    anonymous: bool = False
    """Take calls from elsewhere though the services ask nobody for a key: whoever reaches the edge may do everything."""
    privacy: bool = False
    """Route PrivacyService, which exports and erases persons."""
    scorers: Targets = ()
    """Addresses of scorers, by commas; a name may stand for many. None: the one on this machine."""
    agents: Targets = ()
    bridges_ml: Targets = ()
    bridges_agent: Targets = ()
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes behind each address: so many times the places of one are given away."""
    rate_limit: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Requests a second of each key and of each address; 0 for no limit."""
    address_rate_limit: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Requests a second of each address, whatever keys it shows, where that is not RATE_LIMIT; 0 for no limit."""
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 0
    """Proxies in front of the edge whose X-Forwarded-For names the caller's address."""
    idle_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """How long a connection is kept on which nothing happens."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Open connections; further ones are closed at once."""
    max_memory_mib: Annotated[int, Field(ge=128, le=1 << 20)] = 1024
    """Memory of the edge; from half of it on, the requests that hold most of it are reset."""
    origins: Origins = ()
    """Origins whose pages may ask here, by commas: https://shop.example."""
    access_log: bool = False
    """A line of JSON for each request, without anything personal."""
    admin_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Of the edge's metrics, on loopback always. 0 for none."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    services_tls_ca: Path | None = None
    """The services' CA; with it the edge calls them by TLS and expects the name localhost or the address 127.0.0.1."""
    services_tls_certificate: Path | None = None
    services_tls_key: Path | None = None

    def targets(self, service: str) -> tuple[str, ...]:
        """Addresses of a service; none where there is the one on this machine alone."""
        by_service = {
            "scorer": self.scorers, "agent": self.agents, "bridge_ml": self.bridges_ml, "bridge_agent": self.bridges_agent
        }  # fmt: skip
        return by_service.get(service, ())

    @classmethod
    def read(cls, **given: Any) -> Self:
        """As Settings does. Services that are told of their keys in the same environment have keys."""
        name = "services_have_keys"
        if cls.variables()[name] not in os.environ and all(os.environ.get(each) for each in KEYS_OF_SERVICES):
            given = {name: True} | given
        return super().read(**given)

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if not (is_loopback(self.address) or self.insecure or self.tls_certificate):
            raise ValueError(
                f"{self.prefix}ADDRESS={self.address} lets others in: set {self.prefix}TLS_CERTIFICATE and "
                f"{self.prefix}TLS_KEY, or {self.prefix}INSECURE=true where something in front has TLS"
            )
        if not (is_loopback(self.address) or self.services_have_keys or self.anonymous):
            raise ValueError(
                f"{self.prefix}ADDRESS={self.address} lets others in, and the services may ask nobody for a key: set "
                f"{' and '.join(KEYS_OF_SERVICES)} (`vouch keys add NAME`), {self.prefix}SERVICES_HAVE_KEYS=true where the "
                f"services have keys elsewhere, or {self.prefix}ANONYMOUS=true to let everybody do everything"
            )
        for place in ("", "services_"):
            certificate, key = getattr(self, f"{place}tls_certificate"), getattr(self, f"{place}tls_key")
            if (certificate is None) != (key is None):
                name = f"{self.prefix}{place.upper()}TLS"
                raise ValueError(f"{name}_CERTIFICATE and {name}_KEY belong together")
        if self.services_tls_certificate is not None and self.services_tls_ca is None:
            raise ValueError(f"{self.prefix}SERVICES_TLS_CERTIFICATE needs {self.prefix}SERVICES_TLS_CA")
        return self
