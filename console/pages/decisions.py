"""Pages of decisions: a search, and the whole record of one."""

import datetime as dt
import json

from google.protobuf.json_format import MessageToDict
from starlette.requests import Request
from starlette.responses import Response

from console.pages.responses import call_service, likely_abuse, render_page
from console.session_middleware import ROOT
from console.views.orders import group_fields
from console.views.plots import waterfall
from generated.vouch.v1 import agent_service_pb2 as pb

_ROWS = 50
_DECISIONS = {"approve": pb.DECISION_APPROVE, "deny": pb.DECISION_DENY, "review": pb.DECISION_REVIEW}


async def search(request: Request) -> Response:
    """List the decisions that match the query's filters, newest first, in pages."""
    names = ("transaction_id", "user_id", "since", "until", "decision", "model", "policy", "page")
    chosen = {name: request.query_params.get(name, "").strip()[:128] for name in names}
    message = pb.ListDecisionsRequest(
        transaction_id=chosen["transaction_id"], user_id=chosen["user_id"], page_size=_ROWS, page_token=chosen["page"],
        decision=_DECISIONS.get(chosen["decision"], 0),  # type: ignore[arg-type]
        model_version=chosen["model"], policy_version=chosen["policy"], newest_first=True,
    )  # fmt: skip
    problem = ""
    for name in ("since", "until"):
        if chosen[name]:
            try:
                at = dt.datetime.fromisoformat(chosen[name])
                getattr(message, name).FromDatetime(at if at.tzinfo else at.replace(tzinfo=dt.UTC))
            except (ValueError, OverflowError):
                problem = f"{name.capitalize()} must be a date or a time, like 2026-11-25 or 2026-11-25T14:30 (UTC)."
    listed: pb.ListDecisionsResponse = await call_service(request, "agent", "ListDecisions", message)
    next_query = request.url.include_query_params(page=listed.next_page_token).query if listed.next_page_token else ""
    return render_page(
        request, "decisions.html", 400 if problem else 200, records=listed.records, chosen=chosen, problem=problem,
        next_page=f"{ROOT}/decisions?{next_query}" if next_query else "", decisions=list(_DECISIONS),
    )  # fmt: skip


async def decision(request: Request) -> Response:
    """Show the latest decision on an order, its earlier revisions and its record; verify it if the query says so."""
    transaction_id = request.path_params["transaction_id"]
    verification: pb.VerifyDecisionResponse | None = None
    if request.query_params.get("verify"):
        message = pb.VerifyDecisionRequest(transaction_id=transaction_id)
        verification = await call_service(request, "agent", "VerifyDecision", message)
    found: pb.GetDecisionResponse = await call_service(
        request, "agent", "GetDecision", pb.GetDecisionRequest(transaction_id=transaction_id)
    )
    listed: pb.ListDecisionsResponse = await call_service(
        request, "agent", "ListDecisions", pb.ListDecisionsRequest(transaction_id=transaction_id, page_size=100)
    )
    record, review = found.record, found.review
    score = record.legitimacy_score if record.HasField("legitimacy_score") else None
    return render_page(
        request, "decision.html", verification=verification, record=record, review=review, score=score,
        revisions=list(reversed(listed.records)),
        groups=group_fields(record.transaction, {one.name: one.value for one in record.completed_fields}),
        steps=waterfall(review.agent_analysis.evidence, score), likely_abuse=likely_abuse(review),
        full_record=json.dumps(MessageToDict(record, preserving_proto_field_name=True), indent=2, ensure_ascii=False),
    )  # fmt: skip
