"""Settings of the scorer, from VOUCH_ML_... and VOUCH_MODELS_DIR."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from runtime.settings import ServerSettings


class MlSettings(ServerSettings):
    """Where the scorer listens and what it serves."""

    model_config = SettingsConfigDict(env_prefix="VOUCH_ML_", extra="forbid", frozen=True)

    listen: str = "127.0.0.1:50051"
    metrics_listen: str = "127.0.0.1:9051"
    models_dir: Path = Field(default=Path("models"), validation_alias="VOUCH_MODELS_DIR")
