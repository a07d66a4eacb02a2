"""The rate limit: invented keys get no more than their address, and a key has one limit for all addresses."""

from collections.abc import Callable, Iterator
from itertools import count

import httpx
import pytest

from testing.inputs.hostile import ORDER
from testing.transports import JSON_TYPE, encode_body
from tests.edge.conftest import Open

pytestmark = pytest.mark.envoy
Headers = Callable[[int], dict[str, str]]
KEYS: dict[str, Headers] = {
    "no key": lambda _: {},
    "one key": lambda _: {"x-api-key": "same"},
    "another key each": lambda number: {"x-api-key": f"vouch_{number}"},
    "another bearer each": lambda number: {"authorization": f"Bearer {number}"},
    "both anew": lambda number: {"x-api-key": f"a{number}", "authorization": f"Bearer b{number}"},
}
MOST = 2000
"""Requests after which a caller that was never refused has no limit: twice as many as a slow machine sends in that
time.
"""


def first_refused(client: httpx.Client, path: str, headers: Headers) -> httpx.Response | None:
    """Return the first 429 among at most MOST answers."""
    for number in range(MOST):
        answer = client.post(path, content=b"{", headers=JSON_TYPE | headers(number))
        if answer.status_code == 429:
            return answer
        assert answer.status_code in (400, 422), answer.text
    return None


@pytest.mark.parametrize("headers", KEYS.values(), ids=KEYS)
def test_invented_keys_are_limited_by_address(open_edge: Open, headers: Headers) -> None:
    """Invented keys from one address are refused on each transport, with a time to retry."""
    with httpx.Client(base_url=open_edge(RATE_LIMIT="1"), timeout=20) as client:
        for path in ("/api/v1/review", "/v1/transactions:review"):
            refused = first_refused(client, path, headers)
            assert refused is not None and refused.headers["retry-after"] == "1"


def addresses() -> Iterator[str]:
    """Yield addresses of callers behind a proxy, each in another network."""
    for number in count():
        yield f"198.51.{number // 250 % 250}.{number % 250}"


def test_a_key_has_one_limit_at_all_addresses(open_edge: Open) -> None:
    """Behind a trusted proxy, a key is refused from ever new addresses; other keys from new addresses are not."""
    found = addresses()
    with httpx.Client(base_url=open_edge(RATE_LIMIT="1", TRUSTED_PROXIES="1"), timeout=20) as client:

        def spread(_: int) -> dict[str, str]:
            return {"x-api-key": "popular", "x-forwarded-for": next(found)}

        assert first_refused(client, "/api/v1/review", spread) is not None
        for number in range(20):
            headers = JSON_TYPE | {"x-api-key": f"other-{number}", "x-forwarded-for": next(found)}
            answer = client.post("/api/v1/review", content=encode_body(ORDER), headers=headers)
            assert answer.status_code == 200


def test_one_network_of_ipv6_is_one_address(open_edge: Open) -> None:
    """All addresses of an IPv6 network count as one."""
    with httpx.Client(base_url=open_edge(RATE_LIMIT="1", TRUSTED_PROXIES="1"), timeout=20) as client:

        def walking(number: int) -> dict[str, str]:
            return {"x-forwarded-for": f"2001:db8::{number:x}"}

        assert first_refused(client, "/api/v1/review", walking) is not None


def test_forwarded_addresses_are_believed_of_trusted_proxies_only(open_edge: Open) -> None:
    """Without a trusted proxy, a caller that invents forwarded addresses is limited by its own."""
    found = addresses()
    with httpx.Client(base_url=open_edge(RATE_LIMIT="1"), timeout=20) as client:
        refused = first_refused(client, "/api/v1/review", lambda _: {"x-forwarded-for": next(found)})
        assert refused is not None
