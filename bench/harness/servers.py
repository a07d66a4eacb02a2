"""Baselines and variants that `bench.serving` measures, each a server of its own: python -m bench.harness.servers NAME PORT."""

import asyncio
import importlib
import sys
from typing import Any

import grpc

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceServicer, add_ScoringServiceServicer_to_server
from runtime.rpc.grpc_tuning import lower_grpc_thread_priority


class Empty(ScoringServiceServicer):
    """Does nothing with what it got."""

    async def Predict(self, request: pb.PredictRequest, context: Any) -> pb.PredictResponse:
        """An empty answer."""
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
    """An empty grpc.aio handler as the gRPC documentation writes one."""
    asyncio.run(_empty(port))


def empty_uvloop(port: int) -> None:
    """The same on uvloop, which the scorer uses."""
    import uvloop

    uvloop.run(_empty(port))


def empty_tuned(port: int) -> None:
    """The same with all that the scorer tells gRPC: its experiments come by the environment."""
    import uvloop

    uvloop.run(_empty(port, nice=4))


def echo(port: int) -> None:
    """FastAPI with the same body, pydantic in and out, and nothing between."""
    import uvicorn
    from fastapi import FastAPI

    from http_bridge.json.transaction import TransactionBody

    app = FastAPI()

    @app.post("/api/v1/predict")
    async def predict(body: TransactionBody) -> TransactionBody:  # type: ignore[valid-type]
        return body

    uvicorn.run(app, port=port, log_level="warning")


def unmeasured(port: int) -> None:
    """The scorer without metrics."""
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
