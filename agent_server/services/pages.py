"""Page tokens of list calls: a token encodes where the next page starts."""

import re

from agent_server.cases.queries import Place
from runtime.errors import InvalidRequest

DEFAULT_PAGE = 50
_MOST_DIGITS = 18


def parse_sequence(token: str) -> int | None:
    """Return the sequence number in a page token; None without a token. Raises InvalidRequest."""
    if not token:
        return None
    if not (token.isascii() and token.isdecimal()) or len(token) > _MOST_DIGITS:
        raise InvalidRequest([("page_token", "must be a next_page_token of this service")])
    return int(token)


_PLACE = re.compile(r"(-?\d{1,18})-([0-9a-f]{1,64})", re.ASCII)


def page_token(place: Place | None) -> str:
    """Return the token of the page that starts after a place; empty for None."""
    return "" if place is None else f"{place[0]}-{place[1]}"


def parse_place(token: str) -> Place | None:
    """Return the place in a page token; None without a token. Raises InvalidRequest."""
    if not token:
        return None
    match = _PLACE.fullmatch(token)
    if match is None:
        raise InvalidRequest([("page_token", "must be a next_page_token of this service")])
    return int(match[1]), match[2]
