"""Device type and automation, derived from a User-Agent header by the rules of ua-parser."""

from functools import lru_cache
from typing import Final

from ua_parser import Result, parse

DESKTOP, MOBILE, TABLET = "desktop", "mobile", "tablet"
MAX_LENGTH: Final = 1024
"""The contract's limit of a user agent: longer texts of files are unknown."""
_DESKTOP_SYSTEMS: Final = frozenset(
    ("Windows", "Mac OS X", "Linux", "Chrome OS", "Ubuntu", "Fedora", "Debian", "Red Hat", "SUSE", "Arch Linux", "FreeBSD",
     "OpenBSD", "NetBSD", "Solaris")
)  # fmt: skip
_MOBILE_SYSTEMS: Final = frozenset(
    ("Windows Phone", "BlackBerry OS", "BlackBerry Tablet OS", "Firefox OS", "KaiOS", "Symbian OS", "Bada", "HarmonyOS")
)
_AUTOMATED: Final = frozenset(
    ("curl", "Wget", "HTTPie", "Python Requests", "Python aiohttp", "Go-http-client", "Apache-HttpClient", "okhttp", "axios",
     "libwww-perl", "PostmanRuntime", "HeadlessChrome", "PhantomJS")
)  # fmt: skip
_AUTOMATED_WORDS: Final = (
    "headless", "phantomjs", "selenium", "puppeteer", "playwright", "scrapy", "python-", "aiohttp", "node-fetch",
)  # fmt: skip


@lru_cache(maxsize=16_384)
def derive_browser(user_agent: str) -> dict[str, str | bool]:
    """Return `device_type` if the operating system tells it, and `automation_detected` if the program is known.

    An iPad that asks for pages for desktops has the user agent of a Mac: it is a desktop here. Televisions, consoles and
    programs without an operating system have no device type.
    """
    if not user_agent or len(user_agent) > MAX_LENGTH:
        return {}
    parsed = parse(user_agent)
    found: dict[str, str | bool] = {}
    if kind := _device_type(user_agent, parsed):
        found["device_type"] = kind
    automated = _is_automated(user_agent, parsed)
    if automated or (parsed.user_agent is not None and kind is not None):
        found["automation_detected"] = automated
    return found


def _device_type(user_agent: str, parsed: Result) -> str | None:
    system = parsed.os.family if parsed.os else ""
    device = parsed.device
    name = f"{device.family} {device.model}".lower() if device else ""
    if "tv" in name or name.startswith("aft") or (device is not None and device.family == "Spider"):
        return None
    if system == "iOS":
        return TABLET if "ipad" in name else MOBILE
    if system == "Android":  # phones say Mobile, tablets do not; apps' own clients may leave it out
        if "Mobile" in user_agent:
            return MOBILE
        return TABLET if user_agent.startswith("Mozilla/") else None
    if system in _MOBILE_SYSTEMS:
        return MOBILE
    return DESKTOP if system in _DESKTOP_SYSTEMS else None


def _is_automated(user_agent: str, parsed: Result) -> bool:
    if parsed.device is not None and parsed.device.family == "Spider":
        return True
    lower = user_agent.lower()
    return (parsed.user_agent is not None and parsed.user_agent.family in _AUTOMATED) or any(
        word in lower for word in _AUTOMATED_WORDS
    )
