"""Settings of the bridge, from VOUCH_HTTP_..."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from runtime.settings import Settings


class HttpSettings(Settings):
    """Where the services behind are, and how long to wait for them."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_HTTP_", extra="forbid", frozen=True)

    scorer: str = "127.0.0.1:50051"
    agent: str = "127.0.0.1:50052"
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    max_body_bytes: Annotated[int, Field(gt=0)] = 1 << 20
