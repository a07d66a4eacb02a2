"""Typed settings, read once at the start from VOUCH_... environment variables. Errors name the variable."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from runtime.words import nearest

Port = Annotated[int, Field(ge=0, le=65535)]


def _address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not value.startswith("unix:") and not (separator and host and _is_port(port)):
        raise ValueError("must be host:port with a port from 0 to 65535, such as 127.0.0.1:50051")
    return value


def _target(value: str) -> str:
    port = value.rpartition(":")[2]
    if not value or (port.isdecimal() and not _is_port(port)):
        raise ValueError("must be host:port with a port from 0 to 65535, such as 127.0.0.1:50051")
    return value


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65_535


Address = Annotated[str, AfterValidator(_address)]
"""Address to listen on."""
OptionalAddress = Annotated[str, AfterValidator(lambda value: value and _address(value))]
"""Address to listen on; empty for none."""
Target = Annotated[str, AfterValidator(_target)]
"""gRPC target: host:port, dns:///host:port, unix:path."""


CurrencyCode = Annotated[str, Field(pattern="^[A-Z]{3}$")]
"""Currency by ISO 4217."""

PORT_BASE: Final = "VOUCH_PORT_BASE"
"""Variable that moves the ports of all services together."""
PREFIXES = (
    "VOUCH_AGENT_",
    "VOUCH_CLIENT_",
    "VOUCH_CONSOLE_",
    "VOUCH_EDGE_",
    "VOUCH_HTTP_",
    "VOUCH_LOAD_",
    "VOUCH_ML_",
    "VOUCH_STACK_",
    "VOUCH_WEB_",
)
"""Prefixes of the settings classes of all services and commands."""
OTHER_VARIABLES = (
    "VOUCH_MODELS_DIR", PORT_BASE, "VOUCH_ROOT", "VOUCH_IP_COUNTRY_DB", "VOUCH_IP_ANONYMITY_DB", "VOUCH_CARD_BINS",
    "VOUCH_BASE_CURRENCY", "VOUCH_EXCHANGE_RATES",
)  # fmt: skip
"""Variables that belong to no settings class."""
_PORTS = re.compile(r"VOUCH_PORT_((BRIDGE_)?(ML|AGENT)|(ML|AGENT)_METRICS|CONSOLE|ENVOY)(\.\d)?")
"""Names of the ports that `vouch up` passes to the processes of the Procfile."""


PORT_OFFSETS: Final = {
    "VOUCH_STACK_BRIDGE_ML_PORT": 0, "VOUCH_STACK_BRIDGE_AGENT_PORT": 1, "VOUCH_CONSOLE_LISTEN": 2, "VOUCH_ML_LISTEN": 3,
    "VOUCH_AGENT_LISTEN": 4, "VOUCH_ML_METRICS_LISTEN": 5, "VOUCH_AGENT_METRICS_LISTEN": 6, "VOUCH_STACK_EDGE_PORT": 80,
    "VOUCH_AGENT_SCORER": 3, "VOUCH_HTTP_SCORER": 3, "VOUCH_CONSOLE_SCORER": 3, "VOUCH_HTTP_AGENT": 4,
    "VOUCH_CONSOLE_AGENT": 4, "VOUCH_CLIENT_AGENT": 4,
}  # fmt: skip
"""Port of each address after the base. Replicas take steps of ten up to 76; with the base 8000, HTTP has its usual ports."""
MAX_PORT_BASE: Final = 65_535 - max(PORT_OFFSETS.values())


class SettingsError(Exception):
    """An invalid variable; the message names it and says what is expected."""


class Settings(BaseModel):
    """Base class of settings. Each service has its own prefix, such as VOUCH_ML_."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    prefix: ClassVar[str] = "VOUCH_"

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Return the environment variable of each setting."""
        return {name: field.alias or cls.prefix + name.upper() for name, field in cls.model_fields.items()}

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Read settings from the environment; `overrides` come from the command line.

        Raise SettingsError for an invalid value or an unknown name.
        """
        _refuse_unknown(cls.prefix, set(cls.variables().values()))
        from_environment = {
            name: os.environ[variable] for name, variable in cls.variables().items() if variable in os.environ
        }
        try:
            return cls.model_validate(cls._moved_ports() | from_environment | overrides, by_name=True)
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]) if problem["loc"] else ""
            variable = cls.variables().get(name, name)
            value = "" if "key" in name else f"={from_environment.get(name, '')!r}"  # do not show a secret
            message = str(problem["msg"]).removeprefix("Value error, ")
            raise SettingsError(f"{variable}{value}: {message}" if name else message) from error

    @classmethod
    def _moved_ports(cls) -> dict[str, Any]:
        """Return the addresses that the port base moves: defaults with another port."""
        base = read_port_base()
        if base is None:
            return {}
        defaults = {
            name: (cls.model_fields[name].default, base + PORT_OFFSETS[variable])
            for name, variable in cls.variables().items()
            if variable in PORT_OFFSETS
        }
        return {
            name: port if isinstance(default, int) else f"{default.rpartition(':')[0]}:{port}"
            for name, (default, port) in defaults.items()
        }


def read_port_base() -> int | None:
    """Return the port base; None if there is none. Raises SettingsError."""
    text = os.environ.get(PORT_BASE)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= MAX_PORT_BASE):
        raise SettingsError(f"{PORT_BASE}={text!r}: must be a port from 1 to {MAX_PORT_BASE}")
    return int(text)


def _refuse_unknown(prefix: str, known: set[str]) -> None:
    """Raise SettingsError for an unknown VOUCH_ variable with this prefix, or with no known prefix."""
    for name in sorted(os.environ):
        upper = name.upper()
        if not upper.startswith("VOUCH_"):
            continue
        if upper.startswith(prefix) and prefix != Settings.prefix:
            if upper not in known:
                raise SettingsError(f"{name} is not a setting{nearest(upper, known)} (all: docs/reference/settings.md)")
        elif not (upper.startswith(PREFIXES) or upper in OTHER_VARIABLES or _PORTS.fullmatch(upper)):
            near = nearest(upper, (*OTHER_VARIABLES, *(one + upper.split("_", 2)[-1] for one in PREFIXES)))
            raise SettingsError(f"{name} is not a setting{near} (all: docs/reference/settings.md)")


class MoneySettings(Settings):
    """Settings of everything that compares amounts."""

    base_currency: CurrencyCode = Field(default="USD", alias="VOUCH_BASE_CURRENCY")
    """Currency in which amounts are compared, and which amounts without a currency are in."""
    exchange_rates: Path | None = Field(default=None, alias="VOUCH_EXCHANGE_RATES")
    """File of exchange rates that take precedence over those that ship with Vouch."""


class ServerSettings(Settings):
    """Settings of all gRPC servers; each has its own prefix and `listen`."""

    listen: Address
    metrics_listen: OptionalAddress = ""
    """Address of the metrics endpoint; empty for none."""
    workers: Annotated[int, BeforeValidator(lambda value: 0 if value == "auto" else value), Field(ge=0, le=256)] = 1
    """Processes that share the port; 0 or `auto` for one per core."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 256
    max_concurrent_streams: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Concurrent calls per connection; gRPC queues further calls at the client."""
    max_streams: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Open response streams per worker; they have a limit of their own, apart from unary calls."""
    max_watchers: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Open streams per worker that wait for events, such as WatchCases."""
    max_message_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 4 << 20
    max_connection_age_seconds: Annotated[int, Field(ge=1)] = 600
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 10.0
    lame_duck_seconds: Annotated[float, Field(ge=0, le=60)] = 0.3
    log_every: Annotated[int, Field(ge=0)] = 1000
    """One of this many successes is logged; 0 for none."""
    grpc_nice: Annotated[int, Field(ge=0, le=19)] = 4
    """Niceness of the gRPC threads on Linux; 0 for the same priority as Python threads."""
    insecure: bool = False
    api_keys: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    certificate_roles: str = ""
    """Roles of callers with a client certificate and no key, by certificate name: `name=role, name=role`."""

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        prefix = self.prefix
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(f"{prefix}TLS_CERTIFICATE and {prefix}TLS_KEY must be set together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(f"{prefix}TLS_CLIENT_CA requires {prefix}TLS_CERTIFICATE and {prefix}TLS_KEY")
        return self


class Shared(MoneySettings):
    """Settings that several commands share."""

    models_dir: Path = Path("models")
    ip_country_db: Path | None = None
    ip_anonymity_db: Path | None = None
    card_bins: Path | None = None
    port_base: Annotated[int, Field(ge=1, le=MAX_PORT_BASE)] | None = None
    """First of the ports of all services, which then move together."""
