"""OutcomeService: maps requests to outcomes in the ledger."""

import time

from agent_server.feedback.outcomes import RecordOutcome, outcome_page
from agent_server.ledger import Ledger
from agent_server.services.pages import page_token, parse_place
from contract.abuse_types import ABUSE_TYPES
from generated.vouch.v1 import outcome_service_pb2 as pb
from runtime.errors import InvalidRequest
from runtime.rpc.call import Call


class OutcomeService:
    """Servicer of OutcomeService: records and lists outcomes of orders."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ReportOutcome(self, request: pb.ReportOutcomeRequest, call: Call) -> pb.ReportOutcomeResponse:
        """Record an outcome."""
        is_good = request.kind == pb.OUTCOME_KIND_CONFIRMED_GOOD
        if request.abuse_type and (is_good or request.abuse_type not in ABUSE_TYPES):
            raise InvalidRequest(
                [("abuse_type", f"requires an outcome of abuse, and must be one of {', '.join(ABUSE_TYPES)}")]
            )
        outcome = pb.Outcome(
            transaction_id=request.transaction_id,
            kind=request.kind,
            occurred_at=request.occurred_at,
            source=request.source,
            abuse_type=request.abuse_type,
        )
        reported = await self._ledger.write(RecordOutcome(outcome, time.time_ns() // 1000, call.caller.name))
        return pb.ReportOutcomeResponse(outcome=reported.outcome, repeated_report=reported.is_repeat)

    async def ListOutcomes(self, request: pb.ListOutcomesRequest, call: Call) -> pb.ListOutcomesResponse:
        """Return a page of the outcomes of an order."""
        after, size = parse_place(request.page_token), request.page_size or None
        page, next_place = await self._ledger.read(outcome_page(request.transaction_id, after, size))
        return pb.ListOutcomesResponse(outcomes=page, next_page_token=page_token(next_place))
