"""The API key of the load tester."""

from typing import ClassVar, Final

from pydantic import SecretStr

from runtime.access.loopback import require_encryption
from runtime.settings import Settings

VARIABLE: Final = "VOUCH_LOAD_API_KEY"


class LoadSettings(Settings):
    """Settings of the load tests. The key is no option, since all users of a machine can see command lines."""

    prefix: ClassVar[str] = "VOUCH_LOAD_"

    api_key: SecretStr | None = None


def key_headers(url: str) -> dict[str, str]:
    """Return headers for `url` with the key of VOUCH_LOAD_API_KEY.

    Raise SecurityError if the key would be sent to another machine in plain text, SettingsError for an unknown variable.
    """
    key = LoadSettings.read().api_key
    if not key or not key.get_secret_value():
        return {}
    require_encryption(url, encrypted=url.lower().startswith("https://"), advice="use an https:// address")
    return {"x-api-key": key.get_secret_value()}
