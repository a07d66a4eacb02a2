"""The queue of cases, most urgent first; its live updates; and the next case."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import urlencode

import grpc
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console.pages.responses import call_service, redirect, render_page, session_of
from console.services import Services, service_error, with_key
from console.session_middleware import ROOT
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.client.relay import relay_stream

_ROWS = 25
_STATUSES = {
    "open": cases.CASE_STATUS_OPEN,
    "claimed": cases.CASE_STATUS_CLAIMED,
    "resolved": cases.CASE_STATUS_RESOLVED,
}
_REASONS = {
    "uncertain": cases.CASE_REASON_UNCERTAIN, "little_known": cases.CASE_REASON_LITTLE_KNOWN,
    "unscored": cases.CASE_REASON_UNSCORED, "rule": cases.CASE_REASON_RULE,
}  # fmt: skip
_ORDERS = {"priority": cases.CASE_ORDER_PRIORITY, "newest": cases.CASE_ORDER_NEWEST}


async def queue(request: Request) -> Response:
    """Show a page of the queue. The query contains the filters."""
    return await _queue(request, "queue.html")


async def rows(request: Request) -> Response:
    """Return only the rows, for the live update of an open page."""
    return await _queue(request, "queue_rows.html")


async def _queue(request: Request, template: str) -> Response:
    chosen = {name: request.query_params.get(name, "")[:128] for name in ("status", "reason", "order", "mine", "page")}
    session = session_of(request)
    message = cases.ListCasesRequest(
        status=_STATUSES.get(chosen["status"] or "open", cases.CASE_STATUS_UNSPECIFIED),
        reason=_REASONS.get(chosen["reason"], cases.CASE_REASON_UNSPECIFIED),
        order=_ORDERS.get(chosen["order"], cases.CASE_ORDER_PRIORITY), page_size=_ROWS, page_token=chosen["page"],
        reviewer=session.name if chosen["mine"] else "",
    )  # fmt: skip
    if chosen["status"] == "any":
        message.status = cases.CASE_STATUS_UNSPECIFIED
    listed: cases.ListCasesResponse = await call_service(request, "cases", "ListCases", message)
    filters = {name: value for name, value in chosen.items() if value and name != "page"}
    next_query = urlencode({**filters, "page": listed.next_page_token}) if listed.next_page_token else ""
    return render_page(
        request, template, cases=listed.cases, chosen=chosen, cursor=listed.cursor,
        next_page=f"{ROOT}/queue?{next_query}" if next_query else "",
        statuses=["open", "claimed", "resolved", "any"], reasons=list(_REASONS), orders=list(_ORDERS),
    )  # fmt: skip


async def claim_next(request: Request) -> Response:
    """Claim the most urgent case, and redirect to it."""
    answer: cases.ClaimNextResponse = await call_service(request, "cases", "ClaimNext", cases.ClaimNextRequest())
    if not answer.HasField("case"):
        session = session_of(request)
        session.message = f"{session.message} No open cases.".strip()
        return redirect("/queue")
    session_of(request).add_claim(answer.case.case_id, answer.token)
    return redirect(f"/cases/{answer.case.case_id}")


async def changes(request: Request) -> Response:
    """Stream changes of cases as server-sent events without content, on which a page reloads its rows."""
    services: Services = request.app.state.services
    cursor = request.headers.get("last-event-id") or request.query_params.get("cursor", "")
    number = int(cursor) if cursor.isascii() and cursor.isdecimal() and len(cursor) < 19 else 0
    call = services.cases.WatchCases(cases.WatchCasesRequest(cursor=number), metadata=with_key(session_of(request).key))
    stream = aiter(call)
    try:
        first = await anext(stream, None)
    except grpc.aio.AioRpcError as error:
        raise service_error(error) from error
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    body = _encode_changes(relay_stream(call, first, stream, request.app.state.ending))
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


async def _encode_changes(messages: AsyncGenerator[Any]) -> AsyncIterator[str]:
    async with contextlib.aclosing(messages):
        async for message in messages:
            yield f"id: {message.cursor}\ndata: {'change' if message.HasField('case') else ''}\n\n"
