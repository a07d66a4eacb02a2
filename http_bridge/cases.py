"""Cases and outcomes over REST, on the agent's port. The caller's identity is the name of its API key."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import FastAPI, Header, Query, Request, Response
from google.protobuf.message import Message

from contract.fields import short_names
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from http_bridge.application import QueryTime, call_service, query_time
from http_bridge.events import EventStream, stream_events
from http_bridge.json.message import read_into
from http_bridge.openapi.operations import describe_responses, event_stream_responses, message_request_body
from http_bridge.request_body import read_json
from http_bridge.settings import HttpSettings

_STATUSES = short_names(cases.CaseStatus.DESCRIPTOR)
_REASONS = short_names(cases.CaseReason.DESCRIPTOR)
_ORDERS = short_names(cases.CaseOrder.DESCRIPTOR)
_STEPS: tuple[tuple[str, str, str, type[Message], type[Message]], ...] = (
    ("claim", "ClaimCase", "Claim a case", cases.ClaimCaseRequest, cases.ClaimCaseResponse),
    ("renew", "RenewClaim", "Renew the lease of a claim", cases.RenewClaimRequest, cases.RenewClaimResponse),
    ("release", "ReleaseCase", "Release a case to the queue", cases.ReleaseCaseRequest, cases.ReleaseCaseResponse),
    ("resolve", "ResolveCase", "Decide a case", cases.ResolveCaseRequest, cases.ResolveCaseResponse),
    ("comment", "CommentCase", "Comment on a case", cases.CommentCaseRequest, cases.CommentCaseResponse),
)
_IN_PATH = ("case_id",)


def add_case_routes(app: FastAPI, settings: HttpSettings) -> None:
    """Add the routes of cases and outcomes to an app whose state has the stubs `cases` and `outcomes`."""

    @app.get("/api/v1/cases", summary="Cases", responses=describe_responses(cases.ListCasesResponse.DESCRIPTOR))
    async def list_cases(
        request: Request,
        status: Literal["open", "claimed", "resolved"] | None = None,
        order: Literal["newest", "priority"] = "newest",
        reason: Literal["uncertain", "little_known", "unscored", "rule"] | None = None,
        reviewer: Annotated[str, Query(max_length=128)] = "",
        page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
        page_token: Annotated[str, Query(max_length=256)] = "",
    ) -> Response:
        """Return a page, newest or most urgent first. `next_page_token` selects the next page."""
        message = cases.ListCasesRequest(
            status=_STATUSES[status] if status else 0,  # type: ignore[arg-type]
            order=_ORDERS[order],  # type: ignore[arg-type]
            reason=_REASONS[reason] if reason else 0,  # type: ignore[arg-type]
            reviewer=reviewer,
            page_size=page_size,
            page_token=page_token,
        )
        return await call_service(request, request.app.state.cases.ListCases, message, settings)

    @app.get(
        "/api/v1/cases/watch",
        summary="Watch changes of cases",
        response_class=EventStream,
        responses=event_stream_responses(cases.Case.DESCRIPTOR),
    )
    async def watch_cases(
        request: Request,
        cursor: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
        last_event_id: Annotated[str, Header(pattern="^[0-9]{0,18}$")] = "",
    ) -> Response:
        """Stream every change after `cursor` as a server-sent event; 0 starts now.

        `id` is the cursor of a change, `event` its kind. A browser that reconnects sends the last `id` as
        `Last-Event-ID`.
        """
        message = cases.WatchCasesRequest(cursor=int(last_event_id or cursor))
        return await stream_events(request, request.app.state.cases.WatchCases, message)

    @app.get(
        "/api/v1/reviewers",
        summary="Quality of reviewers",
        responses=describe_responses(cases.ListReviewersResponse.DESCRIPTOR),
    )
    async def list_reviewers(request: Request, since: QueryTime = "") -> Response:
        """Return agreement, golden cases, time and overrides, by reviewer."""
        message = cases.ListReviewersRequest()
        if since:
            message.since.CopyFrom(query_time("since", since))
        return await call_service(request, request.app.state.cases.ListReviewers, message, settings)

    @app.get(
        "/api/v1/cases/{case_id}",
        summary="One case",
        responses=describe_responses(cases.GetCaseResponse.DESCRIPTOR, finds=True),
    )
    async def get_case(request: Request, case_id: str) -> Response:
        """Return a case with its order, its decision and its events."""
        return await call_service(
            request, request.app.state.cases.GetCase, cases.GetCaseRequest(case_id=case_id), settings
        )

    @app.post(
        "/api/v1/cases/next",
        summary="Claim the most urgent case",
        responses=describe_responses(cases.ClaimNextResponse.DESCRIPTOR, reads_body=True),
        openapi_extra=message_request_body(cases.ClaimNextRequest.DESCRIPTOR),
    )
    async def claim_next(request: Request) -> Response:
        """Claim the most urgent open case. `case` is null if there is none."""
        message = read_into(cases.ClaimNextRequest(), await read_json(request, settings))
        return await call_service(request, request.app.state.cases.ClaimNext, message, settings)

    @app.post(
        "/api/v1/outcomes",
        summary="Report the outcome of an order",
        responses=describe_responses(outcomes.ReportOutcomeResponse.DESCRIPTOR, finds=True, reads_body=True),
        openapi_extra=message_request_body(outcomes.ReportOutcomeRequest.DESCRIPTOR),
    )
    async def report_outcome(request: Request) -> Response:
        """Record a chargeback, a refund claim, or that the order was good. A repeated report is the same outcome."""
        message = read_into(outcomes.ReportOutcomeRequest(), await read_json(request, settings))
        return await call_service(request, request.app.state.outcomes.ReportOutcome, message, settings)

    @app.get(
        "/api/v1/outcomes",
        summary="Outcomes of an order",
        responses=describe_responses(outcomes.ListOutcomesResponse.DESCRIPTOR),
    )
    async def list_outcomes(
        request: Request,
        transaction_id: Annotated[str, Query(min_length=1, max_length=128)],
        page_size: Annotated[int, Query(ge=0, le=1000)] = 0,
        page_token: Annotated[str, Query(max_length=256)] = "",
    ) -> Response:
        """Return reports, oldest first; the latest one counts. `next_page_token` selects the next page."""
        message = outcomes.ListOutcomesRequest(
            transaction_id=transaction_id, page_size=page_size, page_token=page_token
        )
        return await call_service(request, request.app.state.outcomes.ListOutcomes, message, settings)

    for step, method, summary, request_class, response_class in _STEPS:
        app.post(
            f"/api/v1/cases/{{case_id}}/{step}",
            summary=summary,
            responses=describe_responses(response_class.DESCRIPTOR, finds=True, reads_body=True, conflicts=True),
            openapi_extra=message_request_body(request_class.DESCRIPTOR, without=_IN_PATH),
            name="renew_claim" if step == "renew" else f"{step}_case",
        )(_step_endpoint(method, request_class, settings))


def _step_endpoint(
    method: str, request_class: type[Message], settings: HttpSettings
) -> Callable[[Request, str], Awaitable[Response]]:
    """Return the endpoint of a step: it reads the request from path and body, and calls a method of CaseService."""

    async def step(request: Request, case_id: str) -> Response:
        message = read_into(request_class(case_id=case_id), await read_json(request, settings), without=_IN_PATH)
        return await call_service(request, getattr(request.app.state.cases, method), message, settings)

    return step
