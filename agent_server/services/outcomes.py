"""OutcomeService: the thin edge around outcomes."""

import time

from agent_server.feedback.outcomes import Report, outcome_page
from agent_server.ledger import Ledger
from agent_server.services.pages import place_of, token_of
from contract.abuse_types import ABUSE_TYPES
from generated.vouch.v1 import outcome_service_pb2 as pb
from runtime.errors import InvalidRequest
from runtime.rpc.call import Call


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
        """A page of the outcomes of an order."""
        after, size = place_of(request.page_token), request.page_size or None
        page, following = await self._ledger.read(outcome_page(request.transaction_id, after, size))
        return pb.ListOutcomesResponse(outcomes=page, next_page_token=token_of(following))
