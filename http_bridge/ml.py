"""REST API of the scorer, port 8000: `uvicorn http_bridge.ml:app --port 8000`."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import grpc
from fastapi import Request, Response
from grpc_health.v1 import health_pb2_grpc
from starlette.exceptions import HTTPException

from contract.fields import short_names
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.application import call_service, create_app, post, query_value, read_transaction, respond_json
from http_bridge.batches import Result, answer_batch, answer_in_one_call, result_from_rpc_error, result_from_status
from http_bridge.health_state import DEGRADED, UNHEALTHY, fetch_failing_jobs, is_serving
from http_bridge.json.mapping import to_rest
from http_bridge.openapi.operations import (
    batch_request_body,
    batch_responses,
    describe_responses,
    health_responses,
    transaction_request_body,
)
from http_bridge.settings import HttpSettings

SETTINGS = HttpSettings.read()
HEALTH_SECONDS = 1.0
_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name

_MAX_CONCURRENT_CALLS = 2  # of all batches together: half of the scorer's default concurrency limit
_CODES: dict[Any, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_LEVEL_NAMES = short_names(pb.ExplainLevel.DESCRIPTOR)
_LEVELS = {
    **_LEVEL_NAMES,
    **dict.fromkeys(("true", "1", "yes", "on"), pb.EXPLAIN_LEVEL_FULL),
    **dict.fromkeys(("false", "0", "no", "off"), pb.EXPLAIN_LEVEL_NONE),
}
_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "`full` (or true): reasons and the contribution of every feature. `reasons`: reasons only. `none`: neither.",
    "schema": {"type": "string", "enum": [*_LEVELS], "default": "full"},
}

app = create_app(
    "Vouch ML",
    "Legitimacy scores with reasons.",
    SETTINGS.scorer,
    SETTINGS,
    {"scoring": ScoringServiceStub, "health": health_pb2_grpc.HealthStub},
    batch_concurrency=_MAX_CONCURRENT_CALLS,
)


_HEALTH = {"model_loaded": {"type": "boolean"}, "timestamp": {"type": "string", "format": "date-time"}}


@app.get("/api/v1/health", summary="Health of the scorer", responses=health_responses(_HEALTH, 200, 503))
async def health(request: Request) -> Response:
    """Return 200 if the scorer serves a model, otherwise 503.

    200 has the status `healthy`, or `degraded` if a background job keeps failing (`failing_jobs`). 503 has `starting`
    during the start, then `unhealthy`.
    """
    loaded = await is_serving(request.app.state.health, _NAME, HEALTH_SECONDS)
    status = request.app.state.health_state.label(loaded, UNHEALTHY)
    failing = await fetch_failing_jobs(request.app.state.health) if loaded else []
    values = {
        "status": DEGRADED if failing else status,
        "model_loaded": loaded,
        "failing_jobs": failing,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(),
    }
    return respond_json(values, 200 if loaded else 503)


@app.get(
    "/api/v1/model/info", summary="The current model", responses=describe_responses(pb.GetModelInfoResponse.DESCRIPTOR)
)
async def model_info(request: Request) -> Response:
    """Return version, features, classes, metrics and dataset of the model."""
    return await call_service(request, request.app.state.scoring.GetModelInfo, pb.GetModelInfoRequest(), SETTINGS)


@app.get(
    "/api/v1/model/report",
    summary="What the model has learned",
    responses=describe_responses(pb.GetModelReportResponse.DESCRIPTOR),
)
async def model_report(request: Request) -> Response:
    """Return effects of features and pairs, calibration, costs by threshold, and versions."""
    return await call_service(request, request.app.state.scoring.GetModelReport, pb.GetModelReportRequest(), SETTINGS)


async def predict(request: Request) -> Response:
    """Return the calibrated legitimacy score, 0 to 1, with reasons. A lower `explain` level is faster."""
    level = _parse_level(query_value(request, "explain", "full"))
    message = pb.PredictRequest(explain_level=level)
    await read_transaction(request, SETTINGS, message.transaction)
    return await call_service(request, request.app.state.scoring.Predict, message, SETTINGS)


post(
    app,
    "/api/v1/predict",
    predict,
    summary="Score a transaction",
    responses=describe_responses(pb.PredictResponse.DESCRIPTOR, reads_body=True),
    openapi_extra=transaction_request_body() | {"parameters": [_EXPLAIN]},
)


async def predict_batch(request: Request) -> Response:
    """Score many orders: `{"transactions": [...]}`, or JSON lines (application/x-ndjson), which are answered as lines.

    A result has the `index` of its order, the `status` that a single request would get, and `result` or `detail`.
    """
    level = _parse_level(query_value(request, "explain", "full"))

    async def answer(orders: Sequence[Transaction]) -> list[Result]:
        message = pb.PredictBatchRequest(
            transactions=orders, explain_level=level, error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM
        )
        state = request.app.state
        try:
            response = await state.batches.call_service(request, state.scoring.PredictBatch, message, SETTINGS)
        except grpc.aio.AioRpcError as error:
            return [result_from_rpc_error(error)] * len(orders)
        return [_to_result(one) for one in response.results]

    return await answer_batch(request, lambda orders: answer_in_one_call(orders, answer), SETTINGS)


post(
    app,
    "/api/v1/predict:batch",
    predict_batch,
    summary="Score many transactions",
    responses=batch_responses(pb.PredictResponse.DESCRIPTOR),
    openapi_extra=batch_request_body() | {"parameters": [_EXPLAIN]},
)


def _to_result(one: pb.PredictBatchResult) -> Result:
    if one.HasField("error"):
        return result_from_status(_CODES[one.error.code], one.error)
    return {"status": 200, "result": to_rest(one.prediction)}


def _parse_level(text: str) -> Any:
    """Parse a level of explanation. Raises HTTPException (422) that lists the levels."""
    level = _LEVELS.get(text.lower())
    if level is None:
        detail = [{"loc": ["query", "explain"], "msg": f"must be one of {', '.join(_LEVEL_NAMES)}", "type": "enum"}]
        raise HTTPException(422, detail)  # type: ignore[arg-type]
    return level
