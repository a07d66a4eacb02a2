"""Settings of the scorer, from VOUCH_ML_... and VOUCH_MODELS_DIR."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from runtime.settings import Address, MoneySettings, OptionalAddress, ServerSettings


class MlSettings(ServerSettings, MoneySettings):
    """Addresses, limits and model folder of the scorer."""

    prefix: ClassVar[str] = "VOUCH_ML_"

    listen: Address = "127.0.0.1:50051"
    metrics_listen: OptionalAddress = "127.0.0.1:9051"
    strict_extras: bool = False
    """Reject orders with an extra that the model does not read."""
    max_batches: Annotated[int, Field(ge=1, le=1000)] = 4
    models_dir: Path = Field(default=Path("models"), alias="VOUCH_MODELS_DIR")
