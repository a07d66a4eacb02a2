"""Ask Vouch: a channel that retries what may be asked twice, waits no longer than it should, and shows an API key.

    with vouch_client.connect("localhost:8080", key="vouch_...") as vouch:
        answer = vouch.agent.Review(ReviewRequest(transaction=order))

`connect_aio` is the same for asyncio. A review is idempotent: asked again with the same order it is the recorded answer.
"""

from vouch_client.connecting import Vouch, connect, connect_aio
from vouch_client.policy import DEADLINE_SECONDS
from vouch_client.problems import field_problems, reason_of

__all__ = ["DEADLINE_SECONDS", "Vouch", "connect", "connect_aio", "field_problems", "reason_of"]
