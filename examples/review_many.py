"""Review many orders concurrently with asyncio: `.venv/bin/python examples/review_many.py [host:port] [API key]`."""

import asyncio
import sys
from collections import Counter

import vouch_client

from generated.vouch.v1.agent_service_pb2 import Decision, ReviewRequest
from generated.vouch.v1.transaction_pb2 import Transaction

CONCURRENCY = 4
"""The services reject more with RESOURCE_EXHAUSTED, which contains the time after which to retry."""


async def main(target: str = "localhost:8080", key: str = "", count: str = "40") -> int:
    """Send orders concurrently, and count the decisions."""
    semaphore = asyncio.Semaphore(CONCURRENCY)
    async with vouch_client.connect_aio(target, key=key) as vouch:

        async def review(number: int) -> str:
            order = Transaction(
                transaction_id=f"many-{number}", user_id=f"u-{number}", order_amount=20.0 * (number + 1)
            )
            order.timestamp.GetCurrentTime()
            async with semaphore:
                answer = await vouch.agent.Review(ReviewRequest(transaction=order))
            return str(Decision.Name(answer.decision))

        print(dict(Counter(await asyncio.gather(*map(review, range(int(count)))))))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
