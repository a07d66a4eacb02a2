"""Decisions: found by order, customer, time and outcome; and the whole record of one."""

import datetime as dt
import json

from google.protobuf.json_format import MessageToDict
from starlette.requests import Request
from starlette.responses import Response

from console.pages.answering import ask, likely_abuse, page
from console.session_middleware import ROOT
from console.views.orders import grouped
from console.views.plots import waterfall
from generated.vouch.v1 import agent_service_pb2 as pb

_ROWS = 50
_DECISIONS = {"approve": pb.DECISION_APPROVE, "deny": pb.DECISION_DENY, "review": pb.DECISION_REVIEW}


async def search(request: Request) -> Response:
    """Decisions that fit what the address says, newest first, a page at a time."""
    names = ("transaction_id", "user_id", "since", "until", "decision", "model", "policy", "page")
    chosen = {name: request.query_params.get(name, "").strip()[:128] for name in names}
    wanted = pb.ListDecisionsRequest(
        transaction_id=chosen["transaction_id"], user_id=chosen["user_id"], page_size=_ROWS, page_token=chosen["page"],
        decision=_DECISIONS.get(chosen["decision"], 0),  # type: ignore[arg-type]
        model_version=chosen["model"], policy_version=chosen["policy"], newest_first=True,
    )  # fmt: skip
    problem = ""
    for name in ("since", "until"):
        if chosen[name]:
            try:
                at = dt.datetime.fromisoformat(chosen[name])
                getattr(wanted, name).FromDatetime(at if at.tzinfo else at.replace(tzinfo=dt.UTC))
            except (ValueError, OverflowError):
                problem = f"{name} is a day or a time, like 2026-11-25 or 2026-11-25T14:30 (UTC)"
    listed: pb.ListDecisionsResponse = await ask(request, "agent", "ListDecisions", wanted)
    following = request.url.include_query_params(page=listed.next_page_token).query if listed.next_page_token else ""
    return page(
        request, "decisions.html", 400 if problem else 200, records=listed.records, chosen=chosen, problem=problem,
        following=f"{ROOT}/decisions?{following}" if following else "", decisions=list(_DECISIONS),
    )  # fmt: skip


async def decision(request: Request) -> Response:
    """The latest decision about an order, its earlier revisions, and the record as it was kept; verified where asked for."""
    transaction_id = request.path_params["transaction_id"]
    place: pb.VerifyDecisionResponse | None = None
    if request.query_params.get("verify"):
        asked = pb.VerifyDecisionRequest(transaction_id=transaction_id)
        place = await ask(request, "agent", "VerifyDecision", asked)
    found: pb.GetDecisionResponse = await ask(
        request, "agent", "GetDecision", pb.GetDecisionRequest(transaction_id=transaction_id)
    )
    listed: pb.ListDecisionsResponse = await ask(
        request, "agent", "ListDecisions", pb.ListDecisionsRequest(transaction_id=transaction_id, page_size=100)
    )
    record, review = found.record, found.review
    score = record.legitimacy_score if record.HasField("legitimacy_score") else None
    return page(
        request, "decision.html", place=place, record=record, review=review, score=score,
        revisions=list(reversed(listed.records)),
        groups=grouped(record.transaction, {one.name: one.value for one in record.completed_fields}),
        steps=waterfall(review.agent_analysis.evidence, score), likely_abuse=likely_abuse(review),
        whole=json.dumps(MessageToDict(record, preserving_proto_field_name=True), indent=2, ensure_ascii=False),
    )  # fmt: skip
