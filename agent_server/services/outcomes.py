"""OutcomeService: the thin edge around outcomes."""

import time

from agent_server.cases.outcomes import Report, outcomes_of
from agent_server.ledger import Ledger
from contract.abuse_types import ABUSE_TYPES
from generated.vouch.v1 import outcome_service_pb2 as pb
from runtime.rpc.call import Call
from runtime.rpc.errors import InvalidRequest


class OutcomeService:
    """What became of orders."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ReportOutcome(self, request: pb.ReportOutcomeRequest, call: Call) -> pb.ReportOutcomeResponse:
        """Keep an outcome."""
        honest = request.kind == pb.OUTCOME_KIND_CONFIRMED_GOOD
        if request.abuse_type and (honest or request.abuse_type not in ABUSE_TYPES):
            raise InvalidRequest([("abuse_type", f"goes with abuse, and is one of {', '.join(ABUSE_TYPES)}")])
        outcome = pb.Outcome(
            transaction_id=request.transaction_id,
            kind=request.kind,
            occurred_at=request.occurred_at,
            source=request.source,
            abuse_type=request.abuse_type,
        )
        reported = await self._ledger.write(Report(outcome, time.time_ns() // 1000, call.caller.name))
        return pb.ReportOutcomeResponse(outcome=reported.outcome, repeated_report=reported.again)

    async def ListOutcomes(self, request: pb.ListOutcomesRequest, call: Call) -> pb.ListOutcomesResponse:
        """All outcomes of an order."""
        return pb.ListOutcomesResponse(outcomes=await self._ledger.read(outcomes_of(request.transaction_id)))
