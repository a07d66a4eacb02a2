"""Settings: typed, read once at the start from VOUCH_... variables, and wrong ones are an error that names them."""

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """A variable that cannot be used; the message names it and says what is wanted."""


class Settings(BaseSettings):
    """Base of each service's settings. Every service has a prefix of its own, VOUCH_ML_ say."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Settings from the environment, or as given where a command says otherwise.

        Raises SettingsError for a bad value and for an unknown name.
        """
        prefix = cls.model_config["env_prefix"]
        known = {
            (str(field.validation_alias) if field.validation_alias else prefix + name).upper()
            for name, field in cls.model_fields.items()
        }
        for name in sorted(os.environ):
            if name.upper().startswith(prefix) and name.upper() not in known:
                raise SettingsError(f"{name} is no setting; there are {', '.join(sorted(known))}")
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            variable = name.upper() if name.upper() in known else prefix + name.upper()
            shown = f"{variable}={os.environ.get(variable, '')!r}: " if name else ""
            raise SettingsError(f"{shown}{first['msg']}") from error


class ServerSettings(Settings):
    """What every gRPC server can be told; each has a prefix and a `listen` of its own."""

    listen: str
    metrics_listen: str = ""
    """Address of the metrics; empty for none."""
    workers: Annotated[int, BeforeValidator(lambda value: 0 if value == "auto" else value), Field(ge=0, le=256)] = 1
    """Processes that share the port; 0 or `auto` for one on each core."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 256
    max_queued: Annotated[int, Field(ge=1, le=100_000)] = 64
    max_message_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 4 << 20
    max_connection_age_seconds: Annotated[int, Field(ge=1)] = 600
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 10.0
    lame_duck_seconds: Annotated[float, Field(ge=0, le=60)] = 0.3
    log_every: Annotated[int, Field(ge=0)] = 1000
    """Every so many successes one is logged; 0 for none."""
    insecure: bool = False
    api_keys: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        prefix = self.model_config["env_prefix"]
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(f"{prefix}TLS_CERTIFICATE and {prefix}TLS_KEY belong together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(f"{prefix}TLS_CLIENT_CA needs {prefix}TLS_CERTIFICATE and {prefix}TLS_KEY")
        return self


class Shared(BaseSettings):
    """What several commands need and no service owns."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_", frozen=True)

    models_dir: Path = Path("models")
