"""AgentService: maps requests to the decider and the ledger."""

import asyncio
from importlib.metadata import version

from sqlalchemy.engine import Connection

from agent_server.audit.verify import EntryCheck, verify_entry
from agent_server.cases.blind_view import BLIND_VIEW, first_hidden
from agent_server.decider import Decider
from agent_server.feedback.outcomes import no_decision
from agent_server.history_store.links import links_of
from agent_server.ledger import Ledger
from agent_server.ledger.queries import FULL_VIEW, DecisionFilter, View, latest_record, record_page
from agent_server.ledger.records import microseconds
from agent_server.metrics import count_decision
from agent_server.scoring.client import ScoringClient
from agent_server.services.pages import DEFAULT_PAGE, parse_sequence
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.access.caller import REVIEWER, SHOP, WITHOUT_ROLE
from runtime.jobs import Jobs
from runtime.rpc.call import Call

SERVICE_NAME = "vouch-agent"
VERSION = version("vouch")
REPLAYED = "vouch-replayed"
"""Header of a response that repeats a recorded decision."""


class AgentService:
    """Servicer of AgentService: decides on orders and reads decisions."""

    def __init__(self, decider: Decider, ledger: Ledger, scoring: ScoringClient, jobs: Jobs | None = None) -> None:
        self._decider, self._jobs = decider, jobs or Jobs()
        self._ledger = ledger
        self._scoring = scoring

    async def Review(self, request: pb.ReviewRequest, call: Call) -> pb.ReviewResponse:
        """Decide on one transaction."""
        if request.dry_run:
            return await self._decider.preview(request.transaction, call)
        recorded = await self._decider.decide(request.transaction, call)
        if recorded.replayed:
            await call.send_header(REPLAYED, "true")
        else:
            count_decision(recorded.answer)
        return recorded.answer

    async def GetDecision(self, request: pb.GetDecisionRequest, call: Call) -> pb.GetDecisionResponse:
        """Return the latest decision on a transaction."""
        golden = call.caller.role not in (SHOP, WITHOUT_ROLE)  # golden orders are not the shop's
        query = latest_record(request.transaction_id, _view_of(call), golden=golden)
        record = await self._ledger.read(query)
        if record is None:
            raise no_decision()
        return pb.GetDecisionResponse(review=record.answer, record=record)

    async def ListDecisions(self, request: pb.ListDecisionsRequest, call: Call) -> pb.ListDecisionsResponse:
        """Return a page of decisions."""
        decision_filter = DecisionFilter(
            transaction_id=request.transaction_id,
            user_id=request.user_id,
            since=microseconds(request.since) if request.HasField("since") else None,
            until=microseconds(request.until) if request.HasField("until") else None,
            decision=request.decision,
            model_version=request.model_version,
            policy_version=request.policy_version,
            newest_first=request.newest_first,
        )
        after = parse_sequence(request.page_token)
        size = request.page_size or DEFAULT_PAGE
        read = self._ledger.read if size <= DEFAULT_PAGE else self._ledger.read_in_background
        page, next_place = await read(record_page(decision_filter, after, size, _view_of(call)))
        return pb.ListDecisionsResponse(records=page, next_page_token=str(next_place or ""))

    async def GetLinks(self, request: pb.GetLinksRequest, call: Call) -> pb.GetLinksResponse:
        """Return what is linked to an order."""
        links = await self._ledger.read(links_of(request.transaction_id, _view_of(call)))
        if links is None:
            raise no_decision()
        return links

    async def VerifyDecision(self, request: pb.VerifyDecisionRequest, call: Call) -> pb.VerifyDecisionResponse:
        """Verify that a decision in the ledger was not changed."""
        view = _view_of(call)
        latest = latest_record(request.transaction_id, view)

        def read(connection: Connection) -> tuple[pb.DecisionRecord, EntryCheck, int | None] | None:
            record = latest(connection)
            if record is None:
                return None
            return (
                record,
                verify_entry(connection, record.sequence),
                first_hidden()(connection) if view is BLIND_VIEW else None,
            )

        verified = await self._ledger.read(read)
        if verified is None:
            raise no_decision()
        found, place, hidden = verified
        answer = pb.VerifyDecisionResponse(
            holds=not place.problem, problem=place.problem, sequence=found.sequence, entries=place.entries
        )
        if hidden is None or hidden > found.sequence:  # otherwise the hashes also cover hidden decisions
            answer.hash, answer.previous_hash = place.hash.hex(), place.before.hex()
        return answer

    async def GetAgentInfo(self, request: pb.GetAgentInfoRequest, call: Call) -> pb.GetAgentInfoResponse:
        """Return the configuration and state of the agent."""
        policy, failing_jobs = self._decider.policy, self._jobs.failing
        failing_rules = self._decider.failing_rules
        scorer, ledger = await asyncio.gather(self._scoring.available(), self._ledger.available())
        return pb.GetAgentInfoResponse(
            service_name=SERVICE_NAME,
            version=VERSION,
            auto_approve_threshold=policy.approve_from,
            auto_deny_threshold=policy.deny_up_to,
            agent_status=_agent_status(scorer and ledger and not failing_jobs and not failing_rules),
            policy_version=policy.version,
            minimum_evidence=policy.minimum_evidence,
            scorer_available=scorer,
            ledger_available=ledger,
            caller=call.caller.name,
            caller_role=call.caller.role,
            failing_jobs=failing_jobs,
            rules=[rule.to_proto() for rule in policy.rules.rules] if policy.rules and call.caller.role != SHOP else (),
            failing_rules=failing_rules if call.caller.role != SHOP else (),
        )


def _agent_status(healthy: bool) -> pb.AgentStatus:
    return pb.AGENT_STATUS_AVAILABLE if healthy else pb.AGENT_STATUS_DEGRADED


def _view_of(call: Call) -> View:
    """Return the view for the caller: reviewers must not see what could influence a pending verdict."""
    return BLIND_VIEW if call.caller.role == REVIEWER else FULL_VIEW
