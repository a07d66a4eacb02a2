"""The scorer's REST, port 8000: `uvicorn http_bridge.ml:app --port 8000`."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import grpc
from fastapi import Request, Response
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.exceptions import HTTPException

from contract.fields import short_names
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.application import application, ask, post, read_transaction, respond_json
from http_bridge.batches import Result, batch, failed, refused, together
from http_bridge.health_state import DEGRADED, jobs_that_fail
from http_bridge.json.mapping import to_rest
from http_bridge.json.openapi import answer, batch_answer, batch_body, body
from http_bridge.settings import HttpSettings

SETTINGS = HttpSettings.read()
_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name

_CALLS_AT_ONCE = 2  # of all batches together: half of what the scorer has room for by default
_CODES: dict[Any, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_WORDS = short_names(pb.ExplainLevel.DESCRIPTOR)
_YES, _NO = pb.EXPLAIN_LEVEL_FULL, pb.EXPLAIN_LEVEL_NONE
_LEVELS = {
    **_WORDS,
    **dict.fromkeys(("true", "1", "yes", "on"), _YES),
    **dict.fromkeys(("false", "0", "no", "off"), _NO),
}
_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "Reasons with the whole explanation, without the contribution of every feature, or nothing; true is full.",
    "schema": {"type": "string", "enum": [*_LEVELS], "default": "full"},
}

app = application(
    "Vouch ML",
    "Legitimacy scores with reasons.",
    SETTINGS.scorer,
    SETTINGS,
    {"scoring": ScoringServiceStub, "health": health_pb2_grpc.HealthStub},
    calls_of_batches=_CALLS_AT_ONCE,
)


@app.get("/api/v1/health", summary="Whether the scorer has a model and answers")
async def health(request: Request) -> Response:
    """200 when `healthy`; 503 when `starting`, or `unhealthy` since it was well or for longer than a start takes.

    200 and `degraded` while a background job of the scorer keeps failing: `failing_jobs` names it.
    """
    try:
        answer = await request.app.state.health.Check(health_pb2.HealthCheckRequest(service=_NAME), timeout=1.0)
        loaded = answer.status == health_pb2.HealthCheckResponse.SERVING
    except grpc.aio.AioRpcError:
        loaded = False
    status = request.app.state.condition.word(loaded, "unhealthy")
    failing = await jobs_that_fail(request.app.state.health) if loaded else []
    values = {
        "status": DEGRADED if failing else status,
        "model_loaded": loaded,
        "failing_jobs": failing,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(),
    }
    return respond_json(values, 200 if loaded else 503)


@app.get(
    "/api/v1/model/info", summary="The model that is serving", responses=answer(pb.GetModelInfoResponse.DESCRIPTOR)
)
async def model_info(request: Request) -> Response:
    """Version, features, classes, figures and data of the model."""
    return await ask(request, request.app.state.scoring.GetModelInfo, pb.GetModelInfoRequest(), SETTINGS)


@app.get(
    "/api/v1/model/report",
    summary="What the model has learned",
    responses=answer(pb.GetModelReportResponse.DESCRIPTOR),
)
async def model_report(request: Request) -> Response:
    """Effects of features and pairs, calibration, costs of thresholds, and versions."""
    return await ask(request, request.app.state.scoring.GetModelReport, pb.GetModelReportRequest(), SETTINGS)


async def predict(request: Request) -> Response:
    """Calibrated legitimacy, 0 to 1, and why: the less `explain` asks for, the faster is the answer."""
    level = _level(request.query_params.get("explain", "full"))
    message = pb.PredictRequest(transaction=await read_transaction(request, SETTINGS), explain_level=level)
    return await ask(request, request.app.state.scoring.Predict, message, SETTINGS)


post(
    app,
    "/api/v1/predict",
    predict,
    summary="Score a transaction",
    responses=answer(pb.PredictResponse.DESCRIPTOR, reads_body=True),
    openapi_extra=body() | {"parameters": [_EXPLAIN]},
)


async def predict_batch(request: Request) -> Response:
    """Many orders at once: `{"transactions": [...]}`, or lines of JSON (application/x-ndjson) that are answered as lines.

    Each result has its `index` and the `status` that a call of its own would have had, and `result` or `detail`.
    """
    level = _level(request.query_params.get("explain", "full"))

    async def answer(orders: Sequence[Transaction]) -> list[Result]:
        message = pb.PredictBatchRequest(
            transactions=orders, explain_level=level, error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM
        )
        state = request.app.state
        try:
            answered = await state.batches.ask(request, state.scoring.PredictBatch, message, SETTINGS)
        except grpc.aio.AioRpcError as error:
            return [failed(error)] * len(orders)
        return [_result(one) for one in answered.results]

    return await batch(request, lambda orders: together(orders, answer), SETTINGS)


post(
    app,
    "/api/v1/predict:batch",
    predict_batch,
    summary="Score many transactions",
    responses=batch_answer(pb.PredictResponse.DESCRIPTOR),
    openapi_extra=batch_body() | {"parameters": [_EXPLAIN]},
)


def _result(one: pb.PredictBatchResult) -> Result:
    if one.HasField("error"):
        return refused(_CODES[one.error.code], one.error)
    return {"status": 200, "result": to_rest(one.prediction)}


def _level(word: str) -> Any:
    """The level of explanation of a word. Raises HTTPException (422) that names the words."""
    level = _LEVELS.get(word.lower())
    if level is None:
        detail = [{"loc": ["query", "explain"], "msg": f"must be one of {', '.join(_WORDS)}", "type": "enum"}]
        raise HTTPException(422, detail)  # type: ignore[arg-type]
    return level
