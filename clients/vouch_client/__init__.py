"""Client of Vouch: gRPC stubs on a channel with retries of idempotent calls, deadlines and an API key.

    with vouch_client.connect("localhost:8080", key="vouch_...") as vouch:
        answer = vouch.agent.Review(ReviewRequest(transaction=order))

`connect_aio` is the same for asyncio. A review is idempotent: the same order gets the recorded response.
`Pseudonyms` makes `email_id`, `phone_id` and `shipping_address_id` of an order.
"""

from vouch_client.connection import Vouch, connect, connect_aio
from vouch_client.errors import field_problems, reason_of
from vouch_client.policy import DEADLINE_SECONDS
from vouch_client.pseudonyms import Pseudonyms

__all__ = ["DEADLINE_SECONDS", "Pseudonyms", "Vouch", "connect", "connect_aio", "field_problems", "reason_of"]
