"""The key that the load tester shows, where the agent asks for one."""

import os

VARIABLE = "VOUCH_LOAD_API_KEY"


def key_headers() -> dict[str, str]:
    """Headers with the key of VOUCH_LOAD_API_KEY; not an option, since command lines are seen by all users of a machine."""
    key = os.environ.get(VARIABLE, "")
    return {"x-api-key": key} if key else {}
