"""Cases and outcomes over REST, on the agent's port. Who asks is who holds the key."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import FastAPI, Header, Query, Request, Response
from google.protobuf.message import Message

from contract.fields import short_names
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from http_bridge.application import QueryTime, ask, query_time
from http_bridge.events import EventStream, events
from http_bridge.json.message import read_into
from http_bridge.json.openapi import answer, event_stream, message_body
from http_bridge.receiving import read_json
from http_bridge.settings import HttpSettings

_STATUSES = short_names(cases.CaseStatus.DESCRIPTOR)
_REASONS = short_names(cases.CaseReason.DESCRIPTOR)
_ORDERS = short_names(cases.CaseOrder.DESCRIPTOR)
_STEPS: tuple[tuple[str, str, str, type[Message], type[Message]], ...] = (
    ("claim", "ClaimCase", "Take a case for a while", cases.ClaimCaseRequest, cases.ClaimCaseResponse),
    ("renew", "RenewClaim", "Keep a claim for another while", cases.RenewClaimRequest, cases.RenewClaimResponse),
    ("release", "ReleaseCase", "Give a case back to the queue", cases.ReleaseCaseRequest, cases.ReleaseCaseResponse),
    ("resolve", "ResolveCase", "Decide a case", cases.ResolveCaseRequest, cases.ResolveCaseResponse),
    ("comment", "CommentCase", "Comment on a case", cases.CommentCaseRequest, cases.CommentCaseResponse),
)
_IN_PATH = ("case_id",)


def serve_cases(app: FastAPI, settings: HttpSettings) -> None:
    """Add the routes of cases to an app whose state has the stub `cases`."""

    @app.get("/api/v1/cases", summary="Cases", responses=answer(cases.ListCasesResponse.DESCRIPTOR))
    async def list_cases(
        request: Request,
        status: Literal["open", "claimed", "resolved"] | None = None,
        order: Literal["newest", "priority"] = "newest",
        reason: Literal["uncertain", "little_known", "unscored", "rule"] | None = None,
        reviewer: Annotated[str, Query(max_length=128)] = "",
        page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
        page_token: Annotated[str, Query(max_length=256)] = "",
    ) -> Response:
        """A page, newest or most urgent first; `next_page_token` of the answer leads to the next one."""
        message = cases.ListCasesRequest(
            status=_STATUSES[status] if status else 0,  # type: ignore[arg-type]
            order=_ORDERS[order],  # type: ignore[arg-type]
            reason=_REASONS[reason] if reason else 0,  # type: ignore[arg-type]
            reviewer=reviewer,
            page_size=page_size,
            page_token=page_token,
        )
        return await ask(request, request.app.state.cases.ListCases, message, settings)

    @app.get(
        "/api/v1/cases/watch",
        summary="What happens to cases",
        response_class=EventStream,
        responses=event_stream(cases.Case.DESCRIPTOR),
    )
    async def watch_cases(
        request: Request,
        cursor: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
        last_event_id: Annotated[str, Header(pattern="^[0-9]{0,18}$")] = "",
    ) -> Response:
        """Server-sent events: every change behind `cursor` once, in order, its number as `id`, what happened as `event`.

        A browser that comes back sends the last number by itself, as `Last-Event-ID`. 0 watches from now on.
        """
        message = cases.WatchCasesRequest(cursor=int(last_event_id or cursor))
        return await events(request, request.app.state.cases.WatchCases, message)

    @app.get(
        "/api/v1/reviewers",
        summary="How well reviewers judge",
        responses=answer(cases.ListReviewersResponse.DESCRIPTOR),
    )
    async def list_reviewers(request: Request, since: QueryTime = "") -> Response:
        """Agreement, golden cases, time and overrides, by reviewer."""
        message = cases.ListReviewersRequest()
        if since:
            message.since.CopyFrom(query_time("since", since))
        return await ask(request, request.app.state.cases.ListReviewers, message, settings)

    @app.get(
        "/api/v1/cases/{case_id}", summary="One case", responses=answer(cases.GetCaseResponse.DESCRIPTOR, finds=True)
    )
    async def get_case(request: Request, case_id: str) -> Response:
        """With the order, the decision that it hangs on, and its history."""
        return await ask(request, request.app.state.cases.GetCase, cases.GetCaseRequest(case_id=case_id), settings)

    @app.post(
        "/api/v1/cases/next",
        summary="Take the most urgent case",
        responses=answer(cases.ClaimNextResponse.DESCRIPTOR, reads_body=True),
        openapi_extra=message_body(cases.ClaimNextRequest.DESCRIPTOR),
    )
    async def claim_next(request: Request) -> Response:
        """`case` is null where none waits."""
        message = read_into(cases.ClaimNextRequest(), await read_json(request, settings))
        return await ask(request, request.app.state.cases.ClaimNext, message, settings)

    @app.post(
        "/api/v1/outcomes",
        summary="Report what became of an order",
        responses=answer(outcomes.ReportOutcomeResponse.DESCRIPTOR, finds=True, reads_body=True),
        openapi_extra=message_body(outcomes.ReportOutcomeRequest.DESCRIPTOR),
    )
    async def report_outcome(request: Request) -> Response:
        """A chargeback, a refund claim, or that it was good. The same report again is the same outcome."""
        message = read_into(outcomes.ReportOutcomeRequest(), await read_json(request, settings))
        return await ask(request, request.app.state.outcomes.ReportOutcome, message, settings)

    @app.get(
        "/api/v1/outcomes",
        summary="What became of an order",
        responses=answer(outcomes.ListOutcomesResponse.DESCRIPTOR),
    )
    async def list_outcomes(
        request: Request,
        transaction_id: Annotated[str, Query(min_length=1, max_length=128)],
        page_size: Annotated[int, Query(ge=0, le=1000)] = 0,
        page_token: Annotated[str, Query(max_length=256)] = "",
    ) -> Response:
        """Reports, oldest first; the latest one counts. `next_page_token` of the answer leads to the next page."""
        message = outcomes.ListOutcomesRequest(
            transaction_id=transaction_id, page_size=page_size, page_token=page_token
        )
        return await ask(request, request.app.state.outcomes.ListOutcomes, message, settings)

    for step, method, summary, asked, answered in _STEPS:
        app.post(
            f"/api/v1/cases/{{case_id}}/{step}",
            summary=summary,
            responses=answer(answered.DESCRIPTOR, finds=True, reads_body=True, conflicts=True),
            openapi_extra=message_body(asked.DESCRIPTOR, without=_IN_PATH),
            name=step,
        )(_step(method, asked, settings))


def _step(method: str, asked: type[Message], settings: HttpSettings) -> Callable[[Request, str], Awaitable[Response]]:
    async def step(request: Request, case_id: str) -> Response:
        message = read_into(asked(case_id=case_id), await read_json(request, settings), without=_IN_PATH)
        return await ask(request, getattr(request.app.state.cases, method), message, settings)

    return step
