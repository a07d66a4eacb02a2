"""The use case: a transaction in, a kept decision out."""

from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger
from agent_server.ledger.keeping import KeepDecision, Kept
from agent_server.scoring_client import ScoringClient
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.rpc.call import Call, new_id
from runtime.rpc.errors import Unavailable


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

    async def decide(self, transaction: Transaction, call: Call) -> Kept:
        """Decide one transaction within the caller's time; one that was decided before gets the recorded answer."""
        prediction = await self._score(transaction, call)
        answer, reason = decide(self.policy, transaction, prediction)
        answer.decision_id = new_id()
        answer.decided_at.CopyFrom(self._clock())
        return await self._ledger.write(
            KeepDecision(
                transaction,
                answer,
                caller=call.caller.name,
                request_id=call.request_id,
                policy_digest=self.policy.digest,
                case_id=new_id(),
                reason=reason,
            )
        )

    async def _score(self, transaction: Transaction, call: Call) -> PredictResponse | None:
        """The score; None where the scorer is away and the policy decides without one."""
        try:
            return await self._scoring.predict(transaction, call)
        except Unavailable:
            if self.policy.unscored == "error":
                raise
            return None
