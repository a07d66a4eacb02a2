"""The scorer's REST, port 8000: `uvicorn http_bridge.ml:app --port 8000`."""

import datetime as dt

import grpc
from fastapi import Request, Response
from grpc_health.v1 import health_pb2, health_pb2_grpc

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from http_bridge.application import application, ask, read_transaction, respond_json
from http_bridge.dialect.openapi import answer, body
from http_bridge.settings import HttpSettings

SETTINGS = HttpSettings.read()
_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name

app = application(
    "Vouch ML",
    "Legitimacy scores with reasons.",
    SETTINGS.scorer,
    SETTINGS,
    {"scoring": ScoringServiceStub, "health": health_pb2_grpc.HealthStub},
)


@app.get("/api/v1/health", summary="Whether the scorer has a model and answers")
async def health(request: Request) -> Response:
    """Answers 200 when healthy and 503 when not, with the same fields."""
    try:
        answer = await request.app.state.health.Check(health_pb2.HealthCheckRequest(service=_NAME), timeout=1.0)
        loaded = answer.status == health_pb2.HealthCheckResponse.SERVING
    except grpc.aio.AioRpcError:
        loaded = False
    values = {
        "status": "healthy" if loaded else "unhealthy",
        "model_loaded": loaded,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(),
    }
    return respond_json(values, 200 if loaded else 503)


@app.get(
    "/api/v1/model/info", summary="The model that is serving", responses=answer(pb.GetModelInfoResponse.DESCRIPTOR)
)
async def model_info(request: Request) -> Response:
    """Version, features, classes, figures and data of the model."""
    return await ask(request, request.app.state.scoring.GetModelInfo, pb.GetModelInfoRequest(), SETTINGS)


@app.post(
    "/api/v1/predict",
    summary="Score a transaction",
    responses=answer(pb.PredictResponse.DESCRIPTOR, reads_body=True),
    openapi_extra=body(),
)
async def predict(request: Request, explain: bool = True) -> Response:
    """Calibrated legitimacy, 0 to 1. With `explain=false` there are no reasons, and the answer is faster."""
    message = pb.PredictRequest(transaction=await read_transaction(request, SETTINGS), explain=explain)
    return await ask(request, request.app.state.scoring.Predict, message, SETTINGS)
