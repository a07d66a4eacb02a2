"""Settings of `vouch up` and of the edge."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from runtime.access.loopback import is_loopback
from runtime.settings import Settings, Target

SERVICE_KEYS: Final = ("VOUCH_ML_API_KEYS", "VOUCH_AGENT_API_KEYS")
"""Key settings of the services. A client CA does not replace them: it authenticates the edge, not its callers."""
Port = Annotated[int, Field(ge=1, le=65_535)]


class StackSettings(Settings):
    """Ports of `vouch up` that no service setting defines."""

    prefix: ClassVar[str] = "VOUCH_STACK_"

    bridge_ml_port: Port = 8000
    bridge_agent_port: Port = 8001
    edge_port: Port = 8080
    bridge_workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes of each REST server."""


def _split(value: object) -> object:
    return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value


Targets = Annotated[tuple[Target, ...], BeforeValidator(_split)]
Origins = Annotated[
    tuple[Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$")], ...], BeforeValidator(_split)
]


class EdgeSettings(Settings):
    """Settings of the edge: address, TLS, upstream services, access and rate limits."""

    prefix: ClassVar[str] = "VOUCH_EDGE_"

    address: Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")] = "127.0.0.1"
    """Interface to listen on; beyond loopback, TLS is required."""
    insecure: bool = False
    """Accept remote calls without TLS, for a proxy in front that terminates TLS."""
    services_have_keys: bool = False
    """Scorer and agent require API keys. Detected if the edge has their settings in its environment."""
    anonymous: bool = False
    """Accept remote calls to services without keys: every caller of the edge may do everything."""
    privacy: bool = False
    """Route PrivacyService, which exports and erases personal data."""
    scorers: Targets = ()
    """Comma-separated addresses of scorers; a name may resolve to many. Empty: the local one."""
    agents: Targets = ()
    bridges_ml: Targets = ()
    bridges_agent: Targets = ()
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes behind each address; multiplies the request limits."""
    rate_limit: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Requests per second of each key and of each address; 0 for no limit."""
    address_rate_limit: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Requests per second of each address, with any keys; default: RATE_LIMIT. 0 for no limit."""
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 0
    """Number of proxies in front of the edge whose X-Forwarded-For is trusted."""
    idle_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """Idle timeout of a connection."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Open connections; further ones are closed at once."""
    max_memory_mib: Annotated[int, Field(ge=128, le=1 << 20)] = 1024
    """Memory limit; above half of it, the requests that hold most memory are reset."""
    origins: Origins = ()
    """Comma-separated origins whose pages may call the edge: https://shop.example."""
    access_log: bool = False
    """Log each request as a line of JSON without personal data."""
    admin_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port of the metrics, on loopback only; 0 for none."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    services_tls_ca: Path | None = None
    """CA of the services. If set, the edge connects by TLS and expects the name localhost or the address 127.0.0.1."""
    services_tls_certificate: Path | None = None
    services_tls_key: Path | None = None

    def targets(self, service: str) -> tuple[str, ...]:
        """Return the addresses of a service; empty for the local one only."""
        by_service = {
            "scorer": self.scorers, "agent": self.agents, "bridge_ml": self.bridges_ml, "bridge_agent": self.bridges_agent
        }  # fmt: skip
        return by_service.get(service, ())

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Read settings; set `services_have_keys` if the key settings of the services are in the environment."""
        name = "services_have_keys"
        if cls.variables()[name] not in os.environ and all(os.environ.get(each) for each in SERVICE_KEYS):
            overrides = {name: True} | overrides
        return super().read(**overrides)

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if not (is_loopback(self.address) or self.insecure or self.tls_certificate):
            raise ValueError(
                f"{self.prefix}ADDRESS={self.address} accepts remote calls without TLS; set "
                f"{self.prefix}TLS_CERTIFICATE and {self.prefix}TLS_KEY, or {self.prefix}INSECURE=true behind a TLS proxy"
            )
        if not (is_loopback(self.address) or self.services_have_keys or self.anonymous):
            raise ValueError(
                f"{self.prefix}ADDRESS={self.address} accepts remote calls, and the services may not require keys; set "
                f"{' and '.join(SERVICE_KEYS)} (`vouch keys add NAME`), {self.prefix}SERVICES_HAVE_KEYS=true if the "
                f"keys are configured elsewhere, or {self.prefix}ANONYMOUS=true to allow every caller everything"
            )
        for prefix in ("", "services_"):
            certificate, key = getattr(self, f"{prefix}tls_certificate"), getattr(self, f"{prefix}tls_key")
            if (certificate is None) != (key is None):
                name = f"{self.prefix}{prefix.upper()}TLS"
                raise ValueError(f"{name}_CERTIFICATE and {name}_KEY must be set together")
        if self.services_tls_certificate is not None and self.services_tls_ca is None:
            raise ValueError(f"{self.prefix}SERVICES_TLS_CERTIFICATE requires {self.prefix}SERVICES_TLS_CA")
        return self
