"""Pages of a list: tokens are sequence numbers of the ledger."""

from runtime.rpc.errors import InvalidRequest

DEFAULT_PAGE = 50
_MOST_DIGITS = 18


def sequence_of(token: str) -> int | None:
    """The sequence number that a page token names; None without a token. Raises InvalidRequest."""
    if not token:
        return None
    if not (token.isascii() and token.isdecimal()) or len(token) > _MOST_DIGITS:
        raise InvalidRequest([("page_token", "must be a next_page_token of this service")])
    return int(token)
