"""The API key of the load tester."""

import os

from runtime.access.loopback import require_encryption

VARIABLE = "VOUCH_LOAD_API_KEY"


def key_headers(url: str) -> dict[str, str]:
    """Return headers for `url` with the key of VOUCH_LOAD_API_KEY.

    It is not a command-line option, since all users of a machine can see command lines. Raise SecurityError if the key
    would be sent to another machine in plain text.
    """
    key = os.environ.get(VARIABLE, "")
    if not key:
        return {}
    require_encryption(url, encrypted=url.lower().startswith("https://"), advice="use an https:// address")
    return {"x-api-key": key}
