"""Review an order: `.venv/bin/python examples/review.py [host:port] [API key]`. Needs no extra of `vouch`."""

import sys

import grpc
import vouch_client

from generated.vouch.v1.agent_service_pb2 import Decision, ReviewRequest
from generated.vouch.v1.transaction_pb2 import Transaction


def main(target: str = "localhost:8080", key: str = "") -> int:
    """Send a valid order, then an invalid one."""
    order = Transaction(transaction_id="example-1", user_id="u-7", order_amount=299.99, new_device=True)
    order.timestamp.GetCurrentTime()
    with vouch_client.connect(target, key=key, deadline=3.0) as vouch:
        answer = vouch.agent.Review(ReviewRequest(transaction=order))
        print(Decision.Name(answer.decision), round(answer.legitimacy_score, 3), answer.reasoning)
        order.order_amount = -1
        try:
            vouch.agent.Review(ReviewRequest(transaction=order))
        except grpc.RpcError as error:
            print(vouch_client.reason_of(error), vouch_client.field_problems(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
