"""Baselines and variants for `bench.serving`, each a server: python -m bench.harness.servers NAME PORT."""

import asyncio
import importlib
import sys
from typing import Any

import grpc

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import (
    ScoringServiceServicer,
    add_ScoringServiceServicer_to_server,
)
from runtime.rpc.grpc_tuning import lower_grpc_thread_priority


class Empty(ScoringServiceServicer):
    """Ignores its requests."""

    async def Predict(self, request: pb.PredictRequest, context: Any) -> pb.PredictResponse:
        """Return an empty response."""
        return pb.PredictResponse()


async def _empty(port: int, nice: int = 0) -> None:
    server = grpc.aio.server()
    add_ScoringServiceServicer_to_server(Empty(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    if nice:
        lower_grpc_thread_priority(nice)
    await server.wait_for_termination()


def empty(port: int) -> None:
    """Serve an empty grpc.aio handler as in the gRPC documentation."""
    asyncio.run(_empty(port))


def empty_uvloop(port: int) -> None:
    """Serve the same on uvloop, which the scorer uses."""
    import uvloop

    uvloop.run(_empty(port))


def empty_tuned(port: int) -> None:
    """Serve the same with the scorer's gRPC settings; experiments are set in the environment."""
    import uvloop

    uvloop.run(_empty(port, nice=4))


def echo(port: int) -> None:
    """Serve FastAPI with the same body: pydantic in and out, no other work."""
    import uvicorn
    from fastapi import FastAPI

    from http_bridge.json.transaction import TransactionBody

    app = FastAPI()

    @app.post("/api/v1/predict")
    async def predict(body: TransactionBody) -> TransactionBody:  # type: ignore[valid-type]
        return body

    uvicorn.run(app, port=port, log_level="warning")


def unmeasured(port: int) -> None:
    """Serve the scorer without metrics."""
    from runtime.telemetry.metrics import MethodMetrics

    class Uncounted(MethodMetrics):
        def record_success(self, seconds: float) -> None:
            """Count nothing."""

    guard: Any = importlib.import_module("runtime.rpc.guard")
    guard.MethodMetrics = Uncounted
    _scorer(port)


def _scorer(port: int) -> None:
    from ml_server.serving.metrics import ScoreMetrics
    from ml_server.serving.scorer import ignore
    from ml_server.settings import MlSettings
    from runtime.process.event_loop import run

    class Blind(ScoreMetrics):
        __call__ = staticmethod(ignore)

    scorer: Any = importlib.import_module("ml_server.serving.running")
    scorer.ScoreMetrics = Blind

    async def serve() -> None:
        async with scorer.running(MlSettings.read(listen=f"127.0.0.1:{port}", metrics_listen="")) as server:
            await server.stopping.wait()

    run(serve())


SERVERS = {
    "empty": empty,
    "empty_uvloop": empty_uvloop,
    "echo": echo,
    "empty_tuned": empty_tuned,
    "unmeasured": unmeasured,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
