"""`python -m ml_server` serves ScoringService; `--workers N` in several processes."""

import asyncio

from generated.vouch.v1 import scoring_service_pb2
from ml_server.serving.metrics import ScoreMetrics
from ml_server.serving.service import ScoringService
from ml_server.serving.swapping import keep_current
from ml_server.settings import MlSettings
from runtime.access.caller import ADMIN, SHOP, WITHOUT_ROLE
from runtime.process.main import main
from runtime.rpc.server import Server

SERVICE = scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"]
ROLES = {f"/{SERVICE.full_name}/{method.name}": (SHOP, ADMIN, WITHOUT_ROLE) for method in SERVICE.methods}
"""Reviewers and auditors read decisions; they score nothing."""


async def serve(settings: MlSettings, worker: bool) -> None:
    """Serve until a signal; without a model, answer UNAVAILABLE and look for one."""
    metrics = ScoreMetrics()
    service = ScoringService(metrics, settings.max_batches, strict_extras=settings.strict_extras)
    async with Server(settings, {SERVICE: service}, worker=worker, flush=metrics.flush, roles=ROLES) as server:
        current = asyncio.create_task(keep_current(service, server, settings.models_dir))
        await server.stopping.wait()
        current.cancel()


if __name__ == "__main__":
    raise SystemExit(main("ml_server", MlSettings, serve))
