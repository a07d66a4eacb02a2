"""The use case: a transaction in, a kept decision out."""

import uuid
from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.decisions.decide import decide, open_case
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger
from agent_server.ledger.queries import keep
from agent_server.scoring_client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.rpc.call import Call


def now() -> Timestamp:
    """The time in UTC."""
    timestamp = Timestamp()
    timestamp.GetCurrentTime()
    return timestamp


class Decider:
    """Scores, decides, keeps; in this order, and nothing is answered that was not kept."""

    def __init__(
        self, scoring: ScoringClient, policy: Policy, ledger: Ledger, clock: Callable[[], Timestamp] = now
    ) -> None:
        self._scoring = scoring
        self.policy = policy
        self._ledger = ledger
        self._clock = clock

    async def decide(self, transaction: Transaction, call: Call) -> pb.ReviewResponse:
        """Decide one transaction within the caller's time."""
        prediction = await self._scoring.predict(transaction, call)
        review = decide(self.policy, transaction, prediction)
        review.decision_id = uuid.uuid4().hex
        review.decided_at.CopyFrom(self._clock())
        case = None
        if review.decision == pb.DECISION_REVIEW:
            case = open_case(review, uuid.uuid4().hex)
            review.case_id = case.case_id
        await self._ledger.write(keep(review, transaction, case))
        return review
