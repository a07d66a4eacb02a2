"""The page of a case, and its actions: claim, renew, release, resolve and comment."""

import asyncio

import grpc
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from console.pages.queue import claim_next
from console.pages.responses import (
    call_service,
    form_of,
    likely_abuse,
    redirect,
    redirect_with_message,
    render_page,
    session_of,
)
from console.services import CLAIM_LOST_CODES, ServiceError
from console.views.graph import graph_of, shared_words
from console.views.orders import group_fields
from console.views.plots import waterfall
from contract.abuse_types import ABUSE_TYPES
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases

_MAX_EARLIER = 200
_VERDICTS = {"approve": pb.DECISION_APPROVE, "deny": pb.DECISION_DENY}
_CLAIM_LOST = (
    "Your claim has expired, or another reviewer has claimed this case. Your note is still here; claim the case again."
)


async def case(request: Request) -> Response:
    """Show a case."""
    return await _case_page(request, note="", problem="")


async def _case_page(request: Request, note: str, problem: str, status: int = 200) -> Response:
    case_id = request.path_params["case_id"]
    response, info = await asyncio.gather(
        call_service(request, "cases", "GetCase", cases.GetCaseRequest(case_id=case_id)),
        call_service(request, "agent", "GetAgentInfo", pb.GetAgentInfoRequest()),
    )
    session = session_of(request)
    earlier, links = await asyncio.gather(
        _earlier_decisions(request, response.transaction.user_id, response.case.transaction_id),
        _links(request, response.case.transaction_id),
    )
    near = [(one.record, shared_words(list(one.shared))) for one in links.orders if set(one.shared) != {"user_id"}]
    review = response.review
    score = response.case.legitimacy_score if response.case.HasField("legitimacy_score") else None
    completed = {one.name: one.value for one in review.completed_fields}
    has_token = case_id in session.claims and response.case.status == cases.CASE_STATUS_CLAIMED
    mine = has_token and response.case.reviewer == session.name
    return render_page(
        request, "case.html", status, case=response.case, order=response.transaction, review=review, events=response.events,
        groups=group_fields(response.transaction, completed), steps=waterfall(review.agent_analysis.evidence, score),
        score=score, info=info, earlier=earlier, links=links, near=near, graph=graph_of(links), mine=mine,
        abuse_types=ABUSE_TYPES, note=note, problem=problem,
        likely_abuse=likely_abuse(review), undo_seconds=request.app.state.undo_seconds,
        is_open=response.case.status == cases.CASE_STATUS_OPEN, is_claimed=response.case.status == cases.CASE_STATUS_CLAIMED,
        is_resolved=response.case.status == cases.CASE_STATUS_RESOLVED,
    )  # fmt: skip


async def _earlier_decisions(request: Request, user_id: str, transaction_id: str) -> list[pb.DecisionRecord]:
    """Return the latest decision on each other order of the customer; none if the list cannot be read."""
    if not user_id:
        return []
    wanted = pb.ListDecisionsRequest(user_id=user_id, page_size=_MAX_EARLIER, newest_first=True)
    try:
        listed: pb.ListDecisionsResponse = await call_service(request, "agent", "ListDecisions", wanted)
    except ServiceError:
        return []
    latest: dict[str, pb.DecisionRecord] = {}
    for record in listed.records:
        if record.transaction_id != transaction_id:
            latest.setdefault(record.transaction_id, record)
    return list(latest.values())


async def _links(request: Request, transaction_id: str) -> pb.GetLinksResponse:
    """Return the orders and accounts that history links to the order; none if it is unknown or access is denied."""
    if not transaction_id:
        return pb.GetLinksResponse()
    try:
        links: pb.GetLinksResponse = await call_service(
            request, "agent", "GetLinks", pb.GetLinksRequest(transaction_id=transaction_id)
        )
    except ServiceError:
        return pb.GetLinksResponse()
    return links


async def claim(request: Request) -> Response:
    """Claim a case, also one whose claim has expired."""
    case_id = request.path_params["case_id"]
    try:
        answer: cases.ClaimCaseResponse = await call_service(
            request, "cases", "ClaimCase", cases.ClaimCaseRequest(case_id=case_id)
        )
    except ServiceError as error:
        if error.code in CLAIM_LOST_CODES:
            return redirect_with_message(request, f"/cases/{case_id}", error.sentence)
        raise
    session_of(request).add_claim(case_id, answer.token)
    return redirect(f"/cases/{case_id}")


async def renew(request: Request) -> Response:
    """Renew the lease of a claim; the page's script calls this. Returns 409 if the claim is lost."""
    case_id = request.path_params["case_id"]
    token = session_of(request).claims.get(case_id)
    if token is None:
        return JSONResponse({"lost": _CLAIM_LOST}, 409)
    try:
        answer: cases.RenewClaimResponse = await call_service(
            request, "cases", "RenewClaim", cases.RenewClaimRequest(case_id=case_id, token=token)
        )
    except ServiceError as error:
        if error.code in CLAIM_LOST_CODES:
            return JSONResponse({"lost": _CLAIM_LOST}, 409)
        return JSONResponse({"away": error.sentence}, 503)
    return JSONResponse({"until": answer.case.claimed_until.ToJsonString()})


async def release(request: Request) -> Response:
    """Release a case."""
    case_id = request.path_params["case_id"]
    token = session_of(request).claims.pop(case_id, None)
    if token is not None:
        try:
            await call_service(request, "cases", "ReleaseCase", cases.ReleaseCaseRequest(case_id=case_id, token=token))
        except ServiceError as error:
            if error.code not in CLAIM_LOST_CODES:
                raise
    return redirect_with_message(request, "/queue", "Case released.")


async def resolve(request: Request) -> Response:
    """Resolve a case with a verdict; then open the next case if the form says so. A lost claim keeps the note."""
    case_id, form = request.path_params["case_id"], form_of(request)
    verdict, note = _VERDICTS.get(form.get("verdict", "")), form.get("note", "")
    if verdict is None:
        return await _case_page(request, note, "Choose approve or deny.", 400)
    token = session_of(request).claims.get(case_id)
    if token is None:
        return await _case_page(request, note, _CLAIM_LOST, 409)
    message = cases.ResolveCaseRequest(
        case_id=case_id, verdict=verdict, note=note[:4096], token=token,
        abuse_type=form.get("abuse_type", "")[:64] if verdict == pb.DECISION_DENY else "",
        reason_code=form.get("reason_code", "")[:64],
    )  # fmt: skip
    try:
        await call_service(request, "cases", "ResolveCase", message)
    except ServiceError as error:
        lost = error.code in CLAIM_LOST_CODES
        status = 409 if lost else 400 if error.code == grpc.StatusCode.INVALID_ARGUMENT else 503
        return await _case_page(request, note, _CLAIM_LOST if lost else error.sentence, status)
    session = session_of(request)
    session.claims.pop(case_id, None)
    session.message = "Order approved." if verdict == pb.DECISION_APPROVE else "Order denied."
    return await claim_next(request) if form.get("then") == "next" else redirect("/queue")


async def comment(request: Request) -> Response:
    """Comment on a case."""
    case_id, text = request.path_params["case_id"], form_of(request).get("text", "").strip()
    if not text:
        return await _case_page(request, "", "The comment is empty.", 400)
    await call_service(request, "cases", "CommentCase", cases.CommentCaseRequest(case_id=case_id, text=text[:4096]))
    return redirect_with_message(request, f"/cases/{case_id}", "Comment added.")
