"""CaseService: maps requests to the case lifecycle and its queries."""

import random
import time
from collections.abc import AsyncIterator
from typing import TypeVar

from agent_server.cases.changes import CaseFeed, newest_change
from agent_server.cases.claims import CaseClaim, Claim, Comment, Release, Renew, Reviewer
from agent_server.cases.lifecycle import VerdictDetails, no_such_case
from agent_server.cases.queries import CaseFilter, case_page, one_case, whole_case
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.feedback.labels import label_page, labels_with_orders
from agent_server.feedback.reviewers import reviewer_quality
from agent_server.ledger import Ledger
from agent_server.ledger.queries import Query
from agent_server.ledger.records import microseconds
from agent_server.services.pages import DEFAULT_PAGE, page_token, parse_place
from contract.abuse_types import ABUSE_TYPES
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.access.caller import ADMIN, AUDITOR
from runtime.errors import InvalidRequest
from runtime.rpc.call import Call
from runtime.rpc.guard import long_lived

T = TypeVar("T")
_MICROSECONDS = 1_000_000


class CaseService:
    """Servicer of CaseService: the queue, claims, verdicts, and labels from verdicts.

    `lease_seconds` is the lease of a claim. `second_reviews` is the share of verdicts that get a blind review.
    ClaimNext does not offer a case to a reviewer who released it less than `release_pause_seconds` ago.
    """

    def __init__(
        self, ledger: Ledger, feed: CaseFeed, lease_seconds: float = 600.0, second_reviews: float = 0.0,
        release_pause_seconds: float = 1800.0,
    ) -> None:  # fmt: skip
        self._ledger, self._feed, self._lease = ledger, feed, round(lease_seconds * _MICROSECONDS)
        self._pause = round(release_pause_seconds * _MICROSECONDS)
        self._second_reviews, self._chance = second_reviews, random.SystemRandom()

    async def ListCases(self, request: cases.ListCasesRequest, call: Call) -> cases.ListCasesResponse:
        """Return a page of cases, newest first or most urgent first."""
        by_priority = request.order == cases.CASE_ORDER_PRIORITY
        case_filter = CaseFilter(request.status, request.reason, request.reviewer, by_priority)
        query = case_page(
            case_filter, parse_place(request.page_token), request.page_size or DEFAULT_PAGE, viewer_of(call)
        )
        # The cursor is read before the page: a change in between is delivered twice rather than missed.
        cursor, (page, next_place) = await self._ledger.read(lambda rows: (newest_change(rows), query(rows)))
        return cases.ListCasesResponse(cases=page, next_page_token=page_token(next_place), cursor=cursor)

    async def GetCase(self, request: cases.GetCaseRequest, call: Call) -> cases.GetCaseResponse:
        """Return one case with its order, decision and events."""
        return await self._read(whole_case(request.case_id, viewer_of(call)))

    async def ClaimCase(self, request: cases.ClaimCaseRequest, call: Call) -> cases.ClaimCaseResponse:
        """Claim a case."""
        claimed = await self._ledger.write(Claim(_reviewer(call), self._lease, request.case_id))
        assert claimed is not None
        return cases.ClaimCaseResponse(case=await self._case(claimed.case_id, call), token=claimed.token)

    async def ClaimNext(self, request: cases.ClaimNextRequest, call: Call) -> cases.ClaimNextResponse:
        """Claim the most urgent case; the response is empty if none is open."""
        claimed = await self._ledger.write(Claim(_reviewer(call), self._lease, pause=self._pause))
        if claimed is None:
            return cases.ClaimNextResponse()
        return cases.ClaimNextResponse(case=await self._case(claimed.case_id, call), token=claimed.token)

    async def RenewClaim(self, request: cases.RenewClaimRequest, call: Call) -> cases.RenewClaimResponse:
        """Renew the lease of a claim."""
        claimed = CaseClaim(request.case_id, request.token)
        await self._ledger.write(Renew(_reviewer(call), self._lease, claimed))
        return cases.RenewClaimResponse(case=await self._case(request.case_id, call))

    async def ReleaseCase(self, request: cases.ReleaseCaseRequest, call: Call) -> cases.ReleaseCaseResponse:
        """Release a claimed case."""
        await self._ledger.write(Release(_reviewer(call), CaseClaim(request.case_id, request.token)))
        return cases.ReleaseCaseResponse(case=await self._case(request.case_id, call))

    async def ResolveCase(self, request: cases.ResolveCaseRequest, call: Call) -> cases.ResolveCaseResponse:
        """Resolve a case with a verdict."""
        if request.abuse_type and (request.verdict != pb.DECISION_DENY or request.abuse_type not in ABUSE_TYPES):
            raise InvalidRequest(
                [("abuse_type", f"requires verdict deny, and must be one of {', '.join(ABUSE_TYPES)}")]
            )
        details = VerdictDetails(request.note, request.abuse_type, request.reason_code)
        verdict = Verdict(CaseClaim(request.case_id, request.token), request.verdict, details)
        await self._ledger.write(Resolve(_reviewer(call), verdict, call, self._draw_second_review))
        return cases.ResolveCaseResponse(case=await self._case(request.case_id, call))

    async def CommentCase(self, request: cases.CommentCaseRequest, call: Call) -> cases.CommentCaseResponse:
        """Comment on a case."""
        event = await self._ledger.write(Comment(_reviewer(call), request.case_id, request.text))
        return cases.CommentCaseResponse(event=event)

    @long_lived
    async def WatchCases(self, request: cases.WatchCasesRequest, call: Call) -> AsyncIterator[cases.WatchCasesResponse]:
        """Stream changes of cases after a cursor."""
        async for change in self._feed.watch(request.cursor, viewer_of(call)):
            yield change

    async def ListReviewers(self, request: cases.ListReviewersRequest, call: Call) -> cases.ListReviewersResponse:
        """Return quality measures of reviewers."""
        return await self._ledger.read_in_background(reviewer_quality(microseconds(request.since)))

    async def ExportLabels(
        self, request: cases.ExportLabelsRequest, call: Call
    ) -> AsyncIterator[cases.ExportLabelsResponse]:
        """Stream the latest label of each order, oldest first."""
        since, until, after = microseconds(request.since), time.time_ns() // 1000, None
        while True:
            known, after = await self._ledger.read_in_background(label_page(after, since, until=until))
            for label in await self._ledger.read_in_background(labels_with_orders(known)):
                yield label
            if after is None:
                return

    def _draw_second_review(self) -> bool:
        return self._chance.random() < self._second_reviews

    async def _case(self, case_id: str, call: Call) -> cases.Case:
        return await self._read(one_case(case_id, viewer_of(call)))

    async def _read(self, query: Query[T | None]) -> T:
        found = await self._ledger.read(query)
        if found is None:
            raise no_such_case()
        return found


def viewer_of(call: Call) -> str | None:
    """Return the caller's name if it must not see what could influence a verdict; None if it may see everything."""
    return call.caller.name if call.caller.role not in (AUDITOR, ADMIN) else None


def _reviewer(call: Call) -> Reviewer:
    """Return the reviewer. The name comes from the API key, never from the request."""
    return Reviewer(call.caller.name)
