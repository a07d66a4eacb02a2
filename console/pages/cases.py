"""A case: all that is known of it on one page, and what a person can do about it."""

import asyncio

import grpc
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from console.pages.answering import ask, form_of, go, likely_abuse, page, redirect_with_message, session_of
from console.pages.queue import following
from console.services import LOST, Refused
from console.views.graph import graph_of, shared_words
from console.views.orders import grouped
from console.views.plots import waterfall
from contract.abuse_types import ABUSE_TYPES
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases

_EARLIER = 200
_VERDICTS = {"approve": pb.DECISION_APPROVE, "deny": pb.DECISION_DENY}
_NO_LONGER = (
    "You no longer hold this case: the claim ran out, or somebody else has it. Your note is still here; claim it again."
)


async def case(request: Request) -> Response:
    """The page of a case."""
    return await _shown(request, note="", problem="")


async def _shown(request: Request, note: str, problem: str, status: int = 200) -> Response:
    case_id = request.path_params["case_id"]
    whole, info = await asyncio.gather(
        ask(request, "cases", "GetCase", cases.GetCaseRequest(case_id=case_id)),
        ask(request, "agent", "GetAgentInfo", pb.GetAgentInfoRequest()),
    )
    session = session_of(request)
    earlier, links = await asyncio.gather(
        _earlier(request, whole.transaction.user_id, whole.case.transaction_id),
        _links(request, whole.case.transaction_id),
    )
    near = [(one.record, shared_words(list(one.shared))) for one in links.orders if set(one.shared) != {"user_id"}]
    review = whole.review
    score = whole.case.legitimacy_score if whole.case.HasField("legitimacy_score") else None
    remembered = {one.name: one.value for one in review.completed_fields}
    held = case_id in session.claims and whole.case.status == cases.CASE_STATUS_CLAIMED
    mine = held and whole.case.reviewer == session.name
    return page(
        request, "case.html", status, case=whole.case, order=whole.transaction, review=review, events=whole.events,
        groups=grouped(whole.transaction, remembered), steps=waterfall(review.agent_analysis.evidence, score), score=score,
        info=info, earlier=earlier, links=links, near=near, graph=graph_of(links), mine=mine,
        abuse_types=ABUSE_TYPES, note=note, problem=problem,
        likely_abuse=likely_abuse(review), undo_seconds=request.app.state.undo_seconds,
        is_open=whole.case.status == cases.CASE_STATUS_OPEN, is_claimed=whole.case.status == cases.CASE_STATUS_CLAIMED,
        is_resolved=whole.case.status == cases.CASE_STATUS_RESOLVED,
    )  # fmt: skip


async def _earlier(request: Request, user_id: str, transaction_id: str) -> list[pb.DecisionRecord]:
    """The latest decision about each other order of the customer; none where their list cannot be read."""
    if not user_id:
        return []
    wanted = pb.ListDecisionsRequest(user_id=user_id, page_size=_EARLIER, newest_first=True)
    try:
        listed: pb.ListDecisionsResponse = await ask(request, "agent", "ListDecisions", wanted)
    except Refused:
        return []
    latest: dict[str, pb.DecisionRecord] = {}
    for record in listed.records:
        if record.transaction_id != transaction_id:
            latest.setdefault(record.transaction_id, record)
    return list(latest.values())


async def _links(request: Request, transaction_id: str) -> pb.GetLinksResponse:
    """What memory links to the order; nothing where it is not known or must not be seen."""
    if not transaction_id:
        return pb.GetLinksResponse()
    try:
        found: pb.GetLinksResponse = await ask(
            request, "agent", "GetLinks", pb.GetLinksRequest(transaction_id=transaction_id)
        )
    except Refused:
        return pb.GetLinksResponse()
    return found


async def claim(request: Request) -> Response:
    """Take a case, or take it over where its claim ran out."""
    case_id = request.path_params["case_id"]
    try:
        answer: cases.ClaimCaseResponse = await ask(
            request, "cases", "ClaimCase", cases.ClaimCaseRequest(case_id=case_id)
        )
    except Refused as error:
        if error.code in LOST:
            return redirect_with_message(request, f"/cases/{case_id}", error.sentence)
        raise
    session_of(request).hold(case_id, answer.token)
    return go(f"/cases/{case_id}")


async def renew(request: Request) -> Response:
    """Hold a case for longer; the page asks for it while it is open. 409 where it is no longer the person's."""
    case_id = request.path_params["case_id"]
    token = session_of(request).claims.get(case_id)
    if token is None:
        return JSONResponse({"lost": _NO_LONGER}, 409)
    try:
        answer: cases.RenewClaimResponse = await ask(
            request, "cases", "RenewClaim", cases.RenewClaimRequest(case_id=case_id, token=token)
        )
    except Refused as error:
        if error.code in LOST:
            return JSONResponse({"lost": _NO_LONGER}, 409)
        return JSONResponse({"away": error.sentence}, 503)
    return JSONResponse({"until": answer.case.claimed_until.ToJsonString()})


async def release(request: Request) -> Response:
    """Give a case back."""
    case_id = request.path_params["case_id"]
    token = session_of(request).claims.pop(case_id, None)
    if token is not None:
        try:
            await ask(request, "cases", "ReleaseCase", cases.ReleaseCaseRequest(case_id=case_id, token=token))
        except Refused as error:
            if error.code not in LOST:
                raise
    return redirect_with_message(request, "/queue", "Given back.")


async def resolve(request: Request) -> Response:
    """Give the verdict; then the next case, where the form asks for it. A lost claim keeps what was typed."""
    case_id, form = request.path_params["case_id"], form_of(request)
    verdict, note = _VERDICTS.get(form.get("verdict", "")), form.get("note", "")
    if verdict is None:
        return await _shown(request, note, "Say approve or deny.", 400)
    token = session_of(request).claims.get(case_id)
    if token is None:
        return await _shown(request, note, _NO_LONGER, 409)
    asked = cases.ResolveCaseRequest(
        case_id=case_id, verdict=verdict, note=note[:4096], token=token,
        abuse_type=form.get("abuse_type", "")[:64] if verdict == pb.DECISION_DENY else "",
        reason_code=form.get("reason_code", "")[:64],
    )  # fmt: skip
    try:
        await ask(request, "cases", "ResolveCase", asked)
    except Refused as error:
        lost = error.code in LOST
        status = 409 if lost else 400 if error.code == grpc.StatusCode.INVALID_ARGUMENT else 503
        return await _shown(request, note, _NO_LONGER if lost else error.sentence, status)
    session = session_of(request)
    session.claims.pop(case_id, None)
    session.message = "Approved." if verdict == pb.DECISION_APPROVE else "Denied."
    return await following(request) if form.get("then") == "next" else go("/queue")


async def comment(request: Request) -> Response:
    """Say something about a case."""
    case_id, text = request.path_params["case_id"], form_of(request).get("text", "").strip()
    if not text:
        return await _shown(request, "", "A comment needs words.", 400)
    await ask(request, "cases", "CommentCase", cases.CommentCaseRequest(case_id=case_id, text=text[:4096]))
    return redirect_with_message(request, f"/cases/{case_id}", "Said.")
