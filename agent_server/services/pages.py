"""Pages of a list: tokens are places in the ledger."""

from runtime.rpc.errors import InvalidRequest

DEFAULT_PAGE = 50
_MOST_DIGITS = 18


def place_of(token: str) -> int | None:
    """The place that a page token names; None for none. Raises InvalidRequest."""
    if not token:
        return None
    if not (token.isascii() and token.isdecimal()) or len(token) > _MOST_DIGITS:
        raise InvalidRequest([("page_token", "must be a next_page_token of this service")])
    return int(token)
