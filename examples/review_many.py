"""Decide many orders at once with asyncio: `python examples/review_many.py [host:port] [API key]`."""

import asyncio
import sys
from collections import Counter

import vouch_client

from generated.vouch.v1.agent_service_pb2 import Decision, ReviewRequest
from generated.vouch.v1.transaction_pb2 import Transaction

AT_ONCE = 4
"""More would only be refused: RESOURCE_EXHAUSTED says so, with the time after which to come again."""


async def main(target: str = "localhost:8080", key: str = "", count: str = "40") -> int:
    """Send orders, so many at once, and count what was decided."""
    free = asyncio.Semaphore(AT_ONCE)
    async with vouch_client.connect_aio(target, key=key) as vouch:

        async def decided(number: int) -> str:
            order = Transaction(
                transaction_id=f"many-{number}", user_id=f"u-{number}", order_amount=20.0 * (number + 1)
            )
            order.timestamp.GetCurrentTime()
            async with free:
                answer = await vouch.agent.Review(ReviewRequest(transaction=order))
            return str(Decision.Name(answer.decision))

        print(dict(Counter(await asyncio.gather(*map(decided, range(int(count)))))))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
