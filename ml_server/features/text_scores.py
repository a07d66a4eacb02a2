"""Numbers computed from texts: kinds of mail domains, automated browsers."""

import re
from functools import cache, lru_cache

# fmt: off
FREE_MAIL = frozenset((
    "gmail.com", "googlemail.com", "yahoo.com", "ymail.com", "hotmail.com", "outlook.com", "live.com",
    "msn.com", "icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net", "gmx.at", "web.de", "protonmail.com",
    "proton.me", "mail.com", "mail.ru", "yandex.ru", "orange.fr", "free.fr", "laposte.net", "libero.it",
    "virgilio.it", "wp.pl", "o2.pl", "onet.pl", "seznam.cz", "qq.com", "163.com", "naver.com", "zoho.com",
    "fastmail.com",
))

# fmt: on
DOCUMENTED_DISPOSABLE = frozenset(("tempmail.net", "throwaway.email", "tempmail.com", "throwaway.com"))

PRIVATE, FREE, DISPOSABLE = 0.0, 1.0, 2.0


@cache
def disposable_mail() -> frozenset[str]:
    """Return the public list of disposable mail domains, plus the documented ones."""
    from disposable_email_domains import blocklist

    return frozenset(blocklist) | DOCUMENTED_DISPOSABLE


@lru_cache(maxsize=65_536)
def mail_kind(domain: str) -> float:
    """Return PRIVATE, FREE or DISPOSABLE for a normalised domain; a subdomain counts as its domain."""
    if domain in FREE_MAIL:
        return FREE
    listed, parts = disposable_mail(), domain.split(".")
    if any(".".join(parts[start:]) in listed for start in range(len(parts) - 1)):
        return DISPOSABLE
    return PRIVATE


_BOT = re.compile(
    r"headless|bot\b|bot/|spider|crawl|python|curl|wget|okhttp|scrapy|phantom|selenium|puppeteer|java/|go-http"
)


@lru_cache(maxsize=4096)
def is_bot(user_agent: str) -> float:
    """Return 1 for the User-Agent of a script or an automated browser, else 0."""
    return float(_BOT.search(user_agent.lower()) is not None)
