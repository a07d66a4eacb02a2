"""REST API of the agent, port 8001: `uvicorn http_bridge.agent:app --port 8001`."""

import asyncio
from typing import Annotated, Literal

import grpc
from fastapi import HTTPException, Query, Request, Response
from grpc_health.v1 import health_pb2_grpc

from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from generated.vouch.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.application import (
    QueryTime,
    call_service,
    create_app,
    post,
    query_time,
    query_value,
    read_transaction,
    respond_json,
)
from http_bridge.batches import Result, answer_batch, answer_individually, result_from_rpc_error
from http_bridge.cases import add_case_routes
from http_bridge.health_state import DEGRADED, fetch_failing_jobs, is_serving
from http_bridge.json.mapping import to_rest
from http_bridge.middleware.access import metadata
from http_bridge.openapi.operations import (
    batch_request_body,
    batch_responses,
    describe_responses,
    health_responses,
    transaction_request_body,
)
from http_bridge.settings import HttpSettings

SETTINGS = HttpSettings.read()
HEALTH_SECONDS = 2.0
_MAX_CONCURRENT_REVIEWS = 16  # of all batches together: the agent's default concurrency limit for batches
_AGENT, _SCORER = "vouch.v1.AgentService", "vouch.v1.ScoringService"  # the agent reports the health of both
_DECISIONS = short_names(pb.Decision.DESCRIPTOR)

app = create_app(
    "Vouch Agent",
    "Decisions on orders: approve, deny or review.",
    SETTINGS.agent,
    SETTINGS,
    {
        "agent": AgentServiceStub,
        "cases": CaseServiceStub,
        "outcomes": OutcomeServiceStub,
        "health": health_pb2_grpc.HealthStub,
    },
    batch_concurrency=_MAX_CONCURRENT_REVIEWS,
)


_HEALTH = {
    "ml_service_available": {"type": "boolean"},
    "ledger_available": {"type": "boolean"},
    "agent_service_version": {"type": ["string", "null"], "description": "Null while the agent is unavailable."},
    "failing_rules": {"type": "array", "items": {"type": "string"}},
}


@app.get("/api/v1/health", summary="Health of the agent", responses=health_responses(_HEALTH, 200))
async def health(request: Request) -> Response:
    """Return `healthy`, `starting` or `degraded`; the status code is always 200, so that clients can read the fields.

    `degraded`: the agent, scorer or ledger is unavailable, a policy rule could not be evaluated recently
    (`failing_rules`), or a background job of the agent keeps failing (`failing_jobs`). `starting`: they were never all
    available yet.
    """
    agent, scorer, version, rules = False, False, None, True
    failing_jobs, failing_rules = list[str](), list[str]()
    try:
        info = await request.app.state.agent.GetAgentInfo(
            pb.GetAgentInfoRequest(), timeout=HEALTH_SECONDS, metadata=metadata(request)
        )
        agent, scorer, version = info.ledger_available, info.scorer_available, info.version
        rules = info.agent_status == pb.AGENT_STATUS_AVAILABLE or not (agent and scorer)
        failing_jobs, failing_rules = list(info.failing_jobs), list(info.failing_rules)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:  # there is no key; gRPC health checks need none
            checks = request.app.state.health
            agent, scorer, failing_jobs = await asyncio.gather(
                is_serving(checks, _AGENT, HEALTH_SECONDS), is_serving(checks, _SCORER, HEALTH_SECONDS),
                fetch_failing_jobs(checks),
            )  # fmt: skip
    return respond_json(
        {
            "status": request.app.state.health_state.label(agent and scorer and rules and not failing_jobs, DEGRADED),
            "ml_service_available": scorer,
            "ledger_available": agent,
            "agent_service_version": version,
            "failing_jobs": failing_jobs,
            "failing_rules": failing_rules,
        }
    )


@app.get(
    "/api/v1/agent/info",
    summary="Configuration of the agent",
    responses=describe_responses(pb.GetAgentInfoResponse.DESCRIPTOR),
)
async def agent_info(request: Request) -> Response:
    """Return thresholds, policy and status."""
    return await call_service(request, request.app.state.agent.GetAgentInfo, pb.GetAgentInfoRequest(), SETTINGS)


_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "Decide as usual but record nothing: no decision, no case, no history.",
    "schema": {"type": "boolean", "default": False},
}


async def review(request: Request) -> Response:
    """Return approve, deny or review, with the reasons. The decision is recorded before it is returned.

    The same order sent again gets the recorded response, with the header `vouch-replayed: true`. With `dry_run=true`
    the order is decided as usual but not recorded: the response has no `decision_id` and no `case_id`.
    """
    dry_run = _parse_flag(request, "dry_run")
    message = pb.ReviewRequest(dry_run=dry_run)
    await read_transaction(request, SETTINGS, message.transaction)
    return await call_service(request, request.app.state.agent.Review, message, SETTINGS)


post(
    app,
    "/api/v1/review",
    review,
    summary="Decide a transaction",
    responses=describe_responses(pb.ReviewResponse.DESCRIPTOR, reads_body=True),
    openapi_extra=transaction_request_body() | {"parameters": [_DRY_RUN]},
)


def _parse_flag(request: Request, name: str) -> bool:
    """Return a boolean query parameter. Raises HTTPException (422) that names it."""
    value = query_value(request, name, "false")
    if value not in ("true", "false"):
        detail = [{"loc": ["query", name], "msg": "must be true or false", "type": "bool_parsing"}]
        raise HTTPException(422, detail)
    return value == "true"


async def review_batch(request: Request) -> Response:
    """Decide many orders: `{"transactions": [...]}`, or JSON lines (application/x-ndjson), which are answered as lines.

    Each order is decided and recorded separately. A result has the `index` of its order, the `status` that a single
    request would get, and `result` or `detail`.
    """
    state = request.app.state

    async def review_one(order: Transaction) -> Result:
        message = pb.ReviewRequest(transaction=order)
        try:
            return {
                "status": 200,
                "result": to_rest(await state.batches.call_service(request, state.agent.Review, message, SETTINGS)),
            }
        except grpc.aio.AioRpcError as error:
            return result_from_rpc_error(error)

    return await answer_batch(request, lambda orders: answer_individually(orders, review_one), SETTINGS)


post(
    app,
    "/api/v1/review:batch",
    review_batch,
    summary="Decide many transactions",
    responses=batch_responses(pb.ReviewResponse.DESCRIPTOR),
    openapi_extra=batch_request_body(),
)


@app.get(
    "/api/v1/decisions/{transaction_id:path}",  # an id may contain a slash
    summary="The latest decision of a transaction",
    responses=describe_responses(pb.GetDecisionResponse.DESCRIPTOR, finds=True),
)
async def get_decision(request: Request, transaction_id: str) -> Response:
    """Return the decision as the review returned it."""
    message = pb.GetDecisionRequest(transaction_id=transaction_id)
    return await call_service(request, request.app.state.agent.GetDecision, message, SETTINGS)


@app.get(
    "/api/v1/decisions:links",
    summary="Orders and accounts linked to an order",
    responses=describe_responses(pb.GetLinksResponse.DESCRIPTOR, finds=True),
)
async def get_links(request: Request, transaction_id: Annotated[str, Query(min_length=1, max_length=128)]) -> Response:
    """Return other orders of the same account, device, address or card, and the accounts linked within two steps."""
    message = pb.GetLinksRequest(transaction_id=transaction_id)
    return await call_service(request, request.app.state.agent.GetLinks, message, SETTINGS)


@app.get(
    "/api/v1/decisions:verify",
    summary="Verify a decision in the ledger",
    responses=describe_responses(pb.VerifyDecisionResponse.DESCRIPTOR, finds=True),
)
async def verify_decision(
    request: Request, transaction_id: Annotated[str, Query(min_length=1, max_length=128)]
) -> Response:
    """Check now, from its entry, its content and its neighbours in the hash chain, that a decision is unchanged."""
    message = pb.VerifyDecisionRequest(transaction_id=transaction_id)
    return await call_service(request, request.app.state.agent.VerifyDecision, message, SETTINGS)


@app.get(
    "/api/v1/decisions",
    summary="Decisions, oldest first, all revisions",
    responses=describe_responses(pb.ListDecisionsResponse.DESCRIPTOR),
)
async def list_decisions(
    request: Request,
    transaction_id: Annotated[str, Query(max_length=128)] = "",
    user_id: Annotated[str, Query(max_length=128)] = "",
    since: QueryTime = "",
    until: QueryTime = "",
    decision: Literal["approve", "deny", "review"] | None = None,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
    page_token: Annotated[str, Query(max_length=256)] = "",
    model_version: Annotated[str, Query(max_length=128)] = "",
    policy_version: Annotated[str, Query(max_length=128)] = "",
    newest_first: bool = False,
) -> Response:
    """Return a page. `next_page_token` selects the next page, which includes decisions recorded in the meantime."""
    message = pb.ListDecisionsRequest(
        transaction_id=transaction_id, user_id=user_id, page_size=page_size, page_token=page_token,
        model_version=model_version, policy_version=policy_version, newest_first=newest_first,
    )  # fmt: skip
    for name, text in (("since", since), ("until", until)):
        if text:
            getattr(message, name).CopyFrom(query_time(name, text))
    if decision is not None:
        message.decision = _DECISIONS[decision]  # type: ignore[assignment]
    return await call_service(request, request.app.state.agent.ListDecisions, message, SETTINGS)


add_case_routes(app, SETTINGS)
