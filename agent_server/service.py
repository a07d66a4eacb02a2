"""AgentService and CaseService: the thin gRPC edges around the reviewer and the ledger."""

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import grpc

from agent_server.ledger import Ledger, records
from agent_server.metrics import count
from agent_server.reviewer import Reviewer
from agent_server.scoring_client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.errors import InvalidRequest, NotFound, Unimplemented
from runtime.interceptors import request_id

Context = grpc.aio.ServicerContext[Any, Any]
DEFAULT_PAGE = 50
SERVICE_NAME = "vouch-agent"


class AgentService:
    """Decisions."""

    def __init__(self, reviewer: Reviewer, ledger: Ledger, scoring: ScoringClient) -> None:
        self._reviewer = reviewer
        self._ledger = ledger
        self._scoring = scoring

    async def Review(self, request: pb.ReviewRequest, context: Context) -> pb.ReviewResponse:
        """Decide one transaction."""
        identity = request_id(context)
        review = await self._reviewer.review(request.transaction, context.time_remaining(), identity)
        count(review)
        return review

    async def GetDecision(self, request: pb.GetDecisionRequest, context: Context) -> pb.GetDecisionResponse:
        """The latest decision of a transaction."""
        found = await self._ledger.read(records.latest_review(request.transaction_id))
        if found is None:
            raise NotFound(
                "there is no decision for this transaction", reason=ErrorReason.ERROR_REASON_DECISION_NOT_FOUND
            )
        return pb.GetDecisionResponse(review=found)

    async def GetAgentInfo(self, request: pb.GetAgentInfoRequest, context: Context) -> pb.GetAgentInfoResponse:
        """How the agent is set up."""
        policy = self._reviewer.policy
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


class CaseService:
    """Cases: reading them now; claiming, resolving and export are in the contract and come later."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ListCases(self, request: cases.ListCasesRequest, context: Context) -> cases.ListCasesResponse:
        """A page of cases, newest first."""
        before = None
        if request.page_token:
            if not request.page_token.isdecimal() or len(request.page_token) > 18:
                raise InvalidRequest([("page_token", "must be a next_page_token of this service")])
            before = int(request.page_token)
        work = records.case_page(request.status, before, request.page_size or DEFAULT_PAGE)
        page, following = await self._ledger.read(work)
        return cases.ListCasesResponse(cases=page, next_page_token=str(following) if following else "")

    async def GetCase(self, request: cases.GetCaseRequest, context: Context) -> cases.GetCaseResponse:
        """One case with its order and decision."""
        found = await self._ledger.read(records.whole_case(request.case_id))
        if found is None:
            raise NotFound("there is no such case", reason=ErrorReason.ERROR_REASON_CASE_NOT_FOUND)
        answer: cases.GetCaseResponse = found
        return answer

    async def ClaimCase(self, request: cases.ClaimCaseRequest, context: Context) -> cases.ClaimCaseResponse:
        """Not served yet."""
        raise _later("ClaimCase")

    async def ResolveCase(self, request: cases.ResolveCaseRequest, context: Context) -> cases.ResolveCaseResponse:
        """Not served yet."""
        raise _later("ResolveCase")

    async def ExportLabels(
        self, request: cases.ExportLabelsRequest, context: Context
    ) -> AsyncIterator[cases.ExportLabelsResponse]:
        """Not served yet."""
        raise _later("ExportLabels")
        yield cases.ExportLabelsResponse()


def _later(method: str) -> Unimplemented:
    return Unimplemented(f"{method} is not served yet", method=f"/vouch.v1.CaseService/{method}")
