"""CaseService: the thin edge around casework and what is read of it."""

import time
from collections.abc import AsyncIterator
from typing import TypeVar

from agent_server.cases.claims import Claim, Claimed, Comment, Release, Renew, Reviewer, no_such_case
from agent_server.cases.labels import known_labels, labelled
from agent_server.cases.verdicts import Resolve
from agent_server.ledger import Ledger
from agent_server.ledger.keeping import Said
from agent_server.ledger.queries import Query, WantedCases, case_page, one_case, whole_case
from agent_server.ledger.records import microseconds
from agent_server.services.pages import DEFAULT_PAGE, place_of, token_of
from contract.abuse_types import ABUSE_TYPES
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.rpc.call import Call
from runtime.rpc.errors import InvalidRequest

T = TypeVar("T")
_LABELS_AT_ONCE = 500
_MICROSECONDS = 1_000_000


class CaseService:
    """Cases: the queue, claims, verdicts, and the labels that they give. A claim lasts for `lease_seconds`."""

    def __init__(self, ledger: Ledger, lease_seconds: float = 600.0) -> None:
        self._ledger, self._lease = ledger, round(lease_seconds * _MICROSECONDS)

    async def ListCases(self, request: cases.ListCasesRequest, call: Call) -> cases.ListCasesResponse:
        """A page of cases, newest first or most urgent first."""
        by_priority = request.order == cases.CASE_ORDER_PRIORITY
        wanted = WantedCases(request.status, request.reason, request.reviewer, by_priority)
        query = case_page(wanted, place_of(request.page_token), request.page_size or DEFAULT_PAGE)
        page, following = await self._ledger.read(query)
        return cases.ListCasesResponse(cases=page, next_page_token=token_of(following))

    async def GetCase(self, request: cases.GetCaseRequest, call: Call) -> cases.GetCaseResponse:
        """One case with its order, decision and history."""
        return await self._read(whole_case(request.case_id))

    async def ClaimCase(self, request: cases.ClaimCaseRequest, call: Call) -> cases.ClaimCaseResponse:
        """Take a case for a while."""
        claimed = await self._ledger.write(Claim(_reviewer(call), self._lease, request.case_id))
        assert claimed is not None
        return cases.ClaimCaseResponse(case=await self._case(claimed.case_id), token=claimed.token)

    async def ClaimNext(self, request: cases.ClaimNextRequest, call: Call) -> cases.ClaimNextResponse:
        """Take the most urgent case; an empty answer where none waits."""
        claimed = await self._ledger.write(Claim(_reviewer(call), self._lease))
        if claimed is None:
            return cases.ClaimNextResponse()
        return cases.ClaimNextResponse(case=await self._case(claimed.case_id), token=claimed.token)

    async def RenewClaim(self, request: cases.RenewClaimRequest, call: Call) -> cases.RenewClaimResponse:
        """Keep a claim."""
        claimed = Claimed(request.case_id, request.token)
        await self._ledger.write(Renew(_reviewer(call), self._lease, claimed))
        return cases.RenewClaimResponse(case=await self._case(request.case_id))

    async def ReleaseCase(self, request: cases.ReleaseCaseRequest, call: Call) -> cases.ReleaseCaseResponse:
        """Give a case back."""
        await self._ledger.write(Release(_reviewer(call), Claimed(request.case_id, request.token)))
        return cases.ReleaseCaseResponse(case=await self._case(request.case_id))

    async def ResolveCase(self, request: cases.ResolveCaseRequest, call: Call) -> cases.ResolveCaseResponse:
        """Decide a case."""
        if request.abuse_type and (request.verdict != pb.DECISION_DENY or request.abuse_type not in ABUSE_TYPES):
            raise InvalidRequest([("abuse_type", f"goes with deny, and is one of {', '.join(ABUSE_TYPES)}")])
        said = Said(request.note, request.abuse_type, request.reason_code)
        claimed = Claimed(request.case_id, request.token)
        await self._ledger.write(Resolve(_reviewer(call), claimed, request.verdict, said, call))
        return cases.ResolveCaseResponse(case=await self._case(request.case_id))

    async def CommentCase(self, request: cases.CommentCaseRequest, call: Call) -> cases.CommentCaseResponse:
        """Comment on a case."""
        event = await self._ledger.write(Comment(_reviewer(call), request.case_id, request.text))
        return cases.CommentCaseResponse(event=event)

    async def ExportLabels(
        self, request: cases.ExportLabelsRequest, call: Call
    ) -> AsyncIterator[cases.ExportLabelsResponse]:
        """The latest word on each order, oldest first."""
        known = await self._ledger.read(known_labels(microseconds(request.since)))
        for start in range(0, len(known), _LABELS_AT_ONCE):
            for label in await self._ledger.read(labelled(known[start : start + _LABELS_AT_ONCE])):
                yield label

    async def _case(self, case_id: str) -> cases.Case:
        return await self._read(one_case(case_id))

    async def _read(self, query: Query[T | None]) -> T:
        found = await self._ledger.read(query)
        if found is None:
            raise no_such_case()
        return found


def _reviewer(call: Call) -> Reviewer:
    """The name comes from the key, never from what a caller writes."""
    return Reviewer(call.caller.name, time.time_ns() // 1000)
