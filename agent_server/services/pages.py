"""Pages of a list: a token names where the next page starts."""

import re

from agent_server.cases.queries import Place
from runtime.errors import InvalidRequest

DEFAULT_PAGE = 50
_MOST_DIGITS = 18


def sequence_of(token: str) -> int | None:
    """The sequence number that a page token names; None without a token. Raises InvalidRequest."""
    if not token:
        return None
    if not (token.isascii() and token.isdecimal()) or len(token) > _MOST_DIGITS:
        raise InvalidRequest([("page_token", "must be a next_page_token of this service")])
    return int(token)


_PLACE = re.compile(r"(-?\d{1,18})-([0-9a-f]{1,64})", re.ASCII)


def token_of(place: Place | None) -> str:
    """The token of a page that starts behind a place; empty where there is none."""
    return "" if place is None else f"{place[0]}-{place[1]}"


def place_of(token: str) -> Place | None:
    """The place that a page token names; None without a token. Raises InvalidRequest."""
    if not token:
        return None
    match = _PLACE.fullmatch(token)
    if match is None:
        raise InvalidRequest([("page_token", "must be a next_page_token of this service")])
    return int(match[1]), match[2]
