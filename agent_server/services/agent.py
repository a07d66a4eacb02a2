"""AgentService: the thin edge around the decider and the ledger."""

import asyncio
from importlib.metadata import version

from sqlalchemy.engine import Connection

from agent_server.audit.verify import EntryCheck, verify_entry
from agent_server.cases.blind_view import BLIND_VIEW, first_hidden
from agent_server.decider import Decider
from agent_server.history_store.links import links_of
from agent_server.ledger import Ledger
from agent_server.ledger.queries import FULL_VIEW, DecisionFilter, View, latest_record, record_page
from agent_server.ledger.records import microseconds
from agent_server.metrics import count
from agent_server.scoring.client import ScoringClient
from agent_server.services.pages import DEFAULT_PAGE, sequence_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.access.caller import REVIEWER, SHOP, WITHOUT_ROLE
from runtime.errors import NotFound
from runtime.jobs import Jobs
from runtime.rpc.call import Call

SERVICE_NAME = "vouch-agent"
VERSION = version("vouch")
REPLAYED = "vouch-replayed"
"""Header of an answer that was recorded by an earlier call."""


class AgentService:
    """Decisions."""

    def __init__(self, decider: Decider, ledger: Ledger, scoring: ScoringClient, jobs: Jobs | None = None) -> None:
        self._decider, self._jobs = decider, jobs or Jobs()
        self._ledger = ledger
        self._scoring = scoring

    async def Review(self, request: pb.ReviewRequest, call: Call) -> pb.ReviewResponse:
        """Decide one transaction."""
        if request.dry_run:
            return await self._decider.preview(request.transaction, call)
        kept = await self._decider.decide(request.transaction, call)
        if kept.replayed:
            await call.send_header(REPLAYED, "true")
        else:
            count(kept.answer)
        return kept.answer

    async def GetDecision(self, request: pb.GetDecisionRequest, call: Call) -> pb.GetDecisionResponse:
        """The latest decision of a transaction."""
        golden = call.caller.role not in (SHOP, WITHOUT_ROLE)  # a shop placed none of them
        query = latest_record(request.transaction_id, _view_of(call), golden=golden)
        record = await self._ledger.read(query)
        if record is None:
            raise _no_decision()
        return pb.GetDecisionResponse(review=record.answer, record=record)

    async def ListDecisions(self, request: pb.ListDecisionsRequest, call: Call) -> pb.ListDecisionsResponse:
        """A page of decisions."""
        wanted = DecisionFilter(
            transaction_id=request.transaction_id,
            user_id=request.user_id,
            since=microseconds(request.since) if request.HasField("since") else None,
            until=microseconds(request.until) if request.HasField("until") else None,
            decision=request.decision,
            model_version=request.model_version,
            policy_version=request.policy_version,
            newest_first=request.newest_first,
        )
        after = sequence_of(request.page_token)
        size = request.page_size or DEFAULT_PAGE
        read = self._ledger.read if size <= DEFAULT_PAGE else self._ledger.read_in_background
        page, following = await read(record_page(wanted, after, size, _view_of(call)))
        return pb.ListDecisionsResponse(records=page, next_page_token=str(following or ""))

    async def GetLinks(self, request: pb.GetLinksRequest, call: Call) -> pb.GetLinksResponse:
        """What is linked to an order."""
        links = await self._ledger.read(links_of(request.transaction_id, _view_of(call)))
        if links is None:
            raise _no_decision()
        return links

    async def VerifyDecision(self, request: pb.VerifyDecisionRequest, call: Call) -> pb.VerifyDecisionResponse:
        """Whether a decision is what was written."""
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
            raise _no_decision()
        found, place, hidden = verified
        answer = pb.VerifyDecisionResponse(
            holds=not place.problem, problem=place.problem, sequence=found.sequence, entries=place.entries
        )
        if hidden is None or hidden > found.sequence:  # else the hashes are made of what is hidden too
            answer.hash, answer.previous_hash = place.hash.hex(), place.before.hex()
        return answer

    async def GetAgentInfo(self, request: pb.GetAgentInfoRequest, call: Call) -> pb.GetAgentInfoResponse:
        """How the agent is set up."""
        policy, failing_jobs = self._decider.policy, self._jobs.failing
        failing_rules = self._decider.failing_rules
        scorer, ledger = await asyncio.gather(self._scoring.available(), self._ledger.available())
        return pb.GetAgentInfoResponse(
            service_name=SERVICE_NAME,
            version=VERSION,
            auto_approve_threshold=policy.approve_from,
            auto_deny_threshold=policy.deny_up_to,
            agent_status=_status(scorer and ledger and not failing_jobs and not failing_rules),
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


def _status(well: bool) -> pb.AgentStatus:
    return pb.AGENT_STATUS_AVAILABLE if well else pb.AGENT_STATUS_DEGRADED


def _no_decision() -> NotFound:
    return NotFound("there is no decision for this transaction", reason=ErrorReason.ERROR_REASON_DECISION_NOT_FOUND)


def _view_of(call: Call) -> View:
    """Return what the caller may see: reviewers not what would sway a verdict that is yet to be given."""
    return BLIND_VIEW if call.caller.role == REVIEWER else FULL_VIEW
