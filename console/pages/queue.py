"""The queue: who waits for a person, most urgent first; what changes, as it changes; and the next case."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import urlencode

import grpc
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console.pages.answering import ask, go, page, session_of
from console.services import Services, refused, with_key
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
    """A page of the queue. Filters stand in the address."""
    return await _queue(request, "queue.html")


async def rows(request: Request) -> Response:
    """Only the rows, for a page that is open."""
    return await _queue(request, "queue_rows.html")


async def _queue(request: Request, template: str) -> Response:
    chosen = {name: request.query_params.get(name, "")[:128] for name in ("status", "reason", "order", "mine", "page")}
    session = session_of(request)
    wanted = cases.ListCasesRequest(
        status=_STATUSES.get(chosen["status"] or "open", cases.CASE_STATUS_UNSPECIFIED),
        reason=_REASONS.get(chosen["reason"], cases.CASE_REASON_UNSPECIFIED),
        order=_ORDERS.get(chosen["order"], cases.CASE_ORDER_PRIORITY), page_size=_ROWS, page_token=chosen["page"],
        reviewer=session.name if chosen["mine"] else "",
    )  # fmt: skip
    if chosen["status"] == "any":
        wanted.status = cases.CASE_STATUS_UNSPECIFIED
    listed: cases.ListCasesResponse = await ask(request, "cases", "ListCases", wanted)
    kept = {name: value for name, value in chosen.items() if value and name != "page"}
    following = f"{ROOT}/queue?{urlencode({**kept, 'page': listed.next_page_token})}" if listed.next_page_token else ""
    return page(
        request, template, cases=listed.cases, chosen=chosen, following=following, cursor=listed.cursor,
        statuses=["open", "claimed", "resolved", "any"], reasons=list(_REASONS), orders=list(_ORDERS),
    )  # fmt: skip


async def following(request: Request) -> Response:
    """Claim the most urgent case and open it."""
    answer: cases.ClaimNextResponse = await ask(request, "cases", "ClaimNext", cases.ClaimNextRequest())
    if not answer.HasField("case"):
        session = session_of(request)
        session.message = f"{session.message} No case waits for you.".strip()
        return go("/queue")
    session_of(request).hold(answer.case.case_id, answer.token)
    return go(f"/cases/{answer.case.case_id}")


async def changes(request: Request) -> Response:
    """What happens to cases, as server-sent events without content: a page asks for its rows again."""
    services: Services = request.app.state.services
    cursor = request.headers.get("last-event-id") or request.query_params.get("cursor", "")
    number = int(cursor) if cursor.isascii() and cursor.isdecimal() and len(cursor) < 19 else 0
    call = services.cases.WatchCases(cases.WatchCasesRequest(cursor=number), metadata=with_key(session_of(request).key))
    stream = aiter(call)
    try:
        first = await anext(stream, None)
    except grpc.aio.AioRpcError as error:
        raise refused(error) from error
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    told = _told(relay_stream(call, first, stream, request.app.state.ending))
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def _told(messages: AsyncGenerator[Any]) -> AsyncIterator[str]:
    async with contextlib.aclosing(messages):
        async for message in messages:
            yield f"id: {message.cursor}\ndata: {'change' if message.HasField('case') else ''}\n\n"
