"""Settings of the console, from VOUCH_CONSOLE_..."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from runtime.access.tls import UpstreamTlsSettings
from runtime.settings import Address, Target


class ConsoleSettings(UpstreamTlsSettings):
    """Addresses, timeouts, sessions and limits of the console."""

    prefix: ClassVar[str] = "VOUCH_CONSOLE_"

    listen: Address = "127.0.0.1:8002"
    agent: Target = "127.0.0.1:50052"
    scorer: Target = "127.0.0.1:50051"
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    secret_key: SecretStr | None = None
    """Encrypts the cookies: any long text. By default a new one is made at each start, which ends all sessions."""
    signed_out_file: Path = Path("vouch_console_signed_out")
    """File of ended sessions' ids. It is used with a secret key only, since only then cookies survive a restart."""
    idle_minutes: Annotated[float, Field(gt=0, le=1440)] = 30.0
    longest_hours: Annotated[float, Field(gt=0, le=168)] = 12.0
    undo_seconds: Annotated[float, Field(ge=0, le=60)] = 5.0
    """Undo window after a verdict: the page sends the verdict after this time."""
    max_body_bytes: Annotated[int, Field(gt=0)] = 64 << 10
