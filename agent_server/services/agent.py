"""AgentService: the thin edge around the decider and the ledger."""

import asyncio
from importlib.metadata import version

from agent_server.decider import Decider
from agent_server.ledger import Ledger
from agent_server.ledger.queries import latest_review
from agent_server.metrics import count
from agent_server.scoring_client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.rpc.call import Call
from runtime.rpc.errors import NotFound

SERVICE_NAME = "vouch-agent"


class AgentService:
    """Decisions."""

    def __init__(self, decider: Decider, ledger: Ledger, scoring: ScoringClient) -> None:
        self._decider = decider
        self._ledger = ledger
        self._scoring = scoring

    async def Review(self, request: pb.ReviewRequest, call: Call) -> pb.ReviewResponse:
        """Decide one transaction."""
        review = await self._decider.decide(request.transaction, call)
        count(review)
        return review

    async def GetDecision(self, request: pb.GetDecisionRequest, call: Call) -> pb.GetDecisionResponse:
        """The latest decision of a transaction."""
        review = await self._ledger.read(latest_review(request.transaction_id))
        if review is None:
            raise NotFound(
                "there is no decision for this transaction", reason=ErrorReason.ERROR_REASON_DECISION_NOT_FOUND
            )
        return pb.GetDecisionResponse(review=review)

    async def GetAgentInfo(self, request: pb.GetAgentInfoRequest, call: Call) -> pb.GetAgentInfoResponse:
        """How the agent is set up."""
        policy = self._decider.policy
        scorer, ledger = await asyncio.gather(self._scoring.available(), self._ledger.available())
        return pb.GetAgentInfoResponse(
            service_name=SERVICE_NAME,
            version=version("vouch"),
            auto_approve_threshold=policy.approve_from,
            auto_deny_threshold=policy.deny_up_to,
            agent_status=pb.AGENT_STATUS_AVAILABLE if scorer and ledger else pb.AGENT_STATUS_DEGRADED,
            policy_version=policy.version,
            minimum_evidence=policy.minimum_evidence,
            scorer_available=scorer,
            ledger_available=ledger,
        )
