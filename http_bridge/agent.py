"""The agent's REST, port 8001: `uvicorn http_bridge.agent:app --port 8001`."""

import asyncio
from typing import Annotated, Literal

import grpc
from fastapi import HTTPException, Query, Request, Response
from grpc_health.v1 import health_pb2, health_pb2_grpc

from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from generated.vouch.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.application import QueryTime, application, ask, post, query_time, read_transaction, respond_json
from http_bridge.batches import Result, batch, each, failed
from http_bridge.cases import serve_cases
from http_bridge.health_state import DEGRADED, jobs_that_fail
from http_bridge.json.mapping import to_rest
from http_bridge.json.openapi import answer, batch_answer, batch_body, body
from http_bridge.middleware.access import metadata
from http_bridge.settings import HttpSettings

SETTINGS = HttpSettings.read()
HEALTH_SECONDS = 2.0
_REVIEWS_AT_ONCE = 16  # of all batches together: the places that the agent has for them by default
_AGENT, _SCORER = "vouch.v1.AgentService", "vouch.v1.ScoringService"  # the agent tells of both
_DECISIONS = short_names(pb.Decision.DESCRIPTOR)

app = application(
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
    calls_of_batches=_REVIEWS_AT_ONCE,
)


@app.get("/api/v1/health", summary="Whether the agent can decide")
async def health(request: Request) -> Response:
    """`degraded` when agent, scorer or ledger cannot do their part, or a rule of the policy could not be evaluated lately;
    `starting` where they never could yet.

    `degraded` too when a background job of the agent keeps failing: `failing_jobs` names it.

    Always 200, so that the fields can be read.
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
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:  # nobody gave a key; health checks need none
            agent, scorer, failing_jobs = await asyncio.gather(
                _serves(request, _AGENT), _serves(request, _SCORER), jobs_that_fail(request.app.state.health)
            )
    return respond_json(
        {
            "status": request.app.state.condition.word(agent and scorer and rules and not failing_jobs, DEGRADED),
            "ml_service_available": scorer,
            "ledger_available": agent,
            "agent_service_version": version,
            "failing_jobs": failing_jobs,
            "failing_rules": failing_rules,
        }
    )


async def _serves(request: Request, service: str) -> bool:
    try:
        check = health_pb2.HealthCheckRequest(service=service)
        answer = await request.app.state.health.Check(check, timeout=HEALTH_SECONDS)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@app.get("/api/v1/agent/info", summary="How the agent is set up", responses=answer(pb.GetAgentInfoResponse.DESCRIPTOR))
async def agent_info(request: Request) -> Response:
    """Thresholds, policy and state."""
    return await ask(request, request.app.state.agent.GetAgentInfo, pb.GetAgentInfoRequest(), SETTINGS)


_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "Decide as usual and record nothing: no decision, no case, nothing in history.",
    "schema": {"type": "boolean", "default": False},
}


async def review(request: Request) -> Response:
    """Approve, deny or review, with the reasons. The decision is kept before it is answered.

    The same order again gets the recorded answer, with the header `vouch-replayed: true`. With `dry_run=true` the order is
    decided as usual and nothing is recorded: the answer has no `decision_id` and no `case_id`.
    """
    dry_run = _flag(request, "dry_run")
    message = pb.ReviewRequest(transaction=await read_transaction(request, SETTINGS), dry_run=dry_run)
    return await ask(request, request.app.state.agent.Review, message, SETTINGS)


post(
    app,
    "/api/v1/review",
    review,
    summary="Decide a transaction",
    responses=answer(pb.ReviewResponse.DESCRIPTOR, reads_body=True),
    openapi_extra=body() | {"parameters": [_DRY_RUN]},
)


def _flag(request: Request, name: str) -> bool:
    """Return a parameter that is true or false. Raises HTTPException (422) that names it."""
    word = request.query_params.get(name, "false")
    if word not in ("true", "false"):
        detail = [{"loc": ["query", name], "msg": "must be true or false", "type": "bool_parsing"}]
        raise HTTPException(422, detail)
    return word == "true"


async def review_batch(request: Request) -> Response:
    """Many orders at once: `{"transactions": [...]}`, or lines of JSON (application/x-ndjson) that are answered as lines.

    Each is decided and kept by itself. A result has its `index` and the `status` that a call of its own would have had, and
    `result` or `detail`.
    """
    state = request.app.state

    async def one(order: Transaction) -> Result:
        message = pb.ReviewRequest(transaction=order)
        try:
            return {
                "status": 200,
                "result": to_rest(await state.batches.ask(request, state.agent.Review, message, SETTINGS)),
            }
        except grpc.aio.AioRpcError as error:
            return failed(error)

    return await batch(request, lambda orders: each(orders, one), SETTINGS)


post(
    app,
    "/api/v1/review:batch",
    review_batch,
    summary="Decide many transactions",
    responses=batch_answer(pb.ReviewResponse.DESCRIPTOR),
    openapi_extra=batch_body(),
)


@app.get(
    "/api/v1/decisions/{transaction_id:path}",  # an id may hold a slash
    summary="The latest decision of a transaction",
    responses=answer(pb.GetDecisionResponse.DESCRIPTOR, finds=True),
)
async def decision(request: Request, transaction_id: str) -> Response:
    """As it was answered."""
    message = pb.GetDecisionRequest(transaction_id=transaction_id)
    return await ask(request, request.app.state.agent.GetDecision, message, SETTINGS)


@app.get(
    "/api/v1/decisions:links",
    summary="What shares a key with an order",
    responses=answer(pb.GetLinksResponse.DESCRIPTOR, finds=True),
)
async def links(request: Request, transaction_id: Annotated[str, Query(min_length=1, max_length=128)]) -> Response:
    """Other orders of its account, device, address and card, and the accounts that these link to it, two steps far."""
    message = pb.GetLinksRequest(transaction_id=transaction_id)
    return await ask(request, request.app.state.agent.GetLinks, message, SETTINGS)


@app.get(
    "/api/v1/decisions:verify",
    summary="Whether a decision is what was written",
    responses=answer(pb.VerifyDecisionResponse.DESCRIPTOR, finds=True),
)
async def verify(request: Request, transaction_id: Annotated[str, Query(min_length=1, max_length=128)]) -> Response:
    """Computed now from its entry, its content and its neighbours in the chain."""
    message = pb.VerifyDecisionRequest(transaction_id=transaction_id)
    return await ask(request, request.app.state.agent.VerifyDecision, message, SETTINGS)


@app.get(
    "/api/v1/decisions",
    summary="Decisions, oldest first, all revisions",
    responses=answer(pb.ListDecisionsResponse.DESCRIPTOR),
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
    """A page; `next_page_token` of the answer leads to the next one, which skips nothing that was written meanwhile."""
    message = pb.ListDecisionsRequest(
        transaction_id=transaction_id, user_id=user_id, page_size=page_size, page_token=page_token,
        model_version=model_version, policy_version=policy_version, newest_first=newest_first,
    )  # fmt: skip
    for name, text in (("since", since), ("until", until)):
        if text:
            getattr(message, name).CopyFrom(query_time(name, text))
    if decision is not None:
        message.decision = _DECISIONS[decision]  # type: ignore[assignment]
    return await ask(request, request.app.state.agent.ListDecisions, message, SETTINGS)


serve_cases(app, SETTINGS)
