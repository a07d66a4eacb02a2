"""Settings: typed, read once at the start from VOUCH_... variables, and wrong ones are an error that names them."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """A variable that cannot be used; the message names it and says what is wanted."""


class Settings(BaseSettings):
    """Base of each service's settings. Every service has a prefix of its own, VOUCH_ML_ say."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls) -> Self:
        """Settings from the environment. Raises SettingsError for a bad value and for an unknown name."""
        prefix = cls.model_config["env_prefix"]
        known = {
            (str(field.validation_alias) if field.validation_alias else prefix + name).upper()
            for name, field in cls.model_fields.items()
        }
        for name in sorted(os.environ):
            if name.upper().startswith(prefix) and name.upper() not in known:
                raise SettingsError(f"{name} is no setting; there are {', '.join(sorted(known))}")
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            variable = name.upper() if name.upper() in known else prefix + name.upper()
            shown = f"{variable}={os.environ.get(variable, '')!r}: " if name else ""
            raise SettingsError(f"{shown}{first['msg']}") from error


class Shared(BaseSettings):
    """What several commands need and no service owns."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_", frozen=True)

    models_dir: Path = Path("models")
