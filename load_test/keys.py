"""The key that the load tester shows, where the agent asks for one."""

import os

from runtime.access.loopback import require_encryption

VARIABLE = "VOUCH_LOAD_API_KEY"


def key_headers(url: str) -> dict[str, str]:
    """Return headers for `url` with the key of VOUCH_LOAD_API_KEY.

    It is not an option of the command line, since all users of a machine see command lines. Raises SecurityError where the
    key would travel to another machine in plain text.
    """
    key = os.environ.get(VARIABLE, "")
    if not key:
        return {}
    require_encryption(url, encrypted=url.lower().startswith("https://"), advice="use an https:// address")
    return {"x-api-key": key}
