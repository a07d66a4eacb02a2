"""A running scorer: its service, its server, and the job that keeps the model current."""

import contextlib
from collections.abc import AsyncIterator

from enrichment.rate_files import read_money
from enrichment.rate_job import REFRESH_SECONDS, refresh_rates
from generated.vouch.v1 import scoring_service_pb2
from ml_server.serving.metrics import ScoreMetrics
from ml_server.serving.model_updates import keep_current
from ml_server.serving.service import ScoringService
from ml_server.settings import MlSettings
from runtime.access.caller import ADMIN, AUDITOR, REVIEWER, SHOP, WITHOUT_ROLE
from runtime.jobs import in_maintenance_thread
from runtime.rpc.server import Server

SERVICE = scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"]
_SCORING, _READING = (SHOP, ADMIN, WITHOUT_ROLE), (SHOP, ADMIN, WITHOUT_ROLE, REVIEWER, AUDITOR)
ROLES = {
    f"/{SERVICE.full_name}/{method.name}": _READING if method.name.startswith("Get") else _SCORING
    for method in SERVICE.methods
}
"""Reviewers and auditors can read the model's description, but not request scores."""


@contextlib.asynccontextmanager
async def running(settings: MlSettings, *, worker: bool = False, handle_signals: bool = True) -> AsyncIterator[Server]:
    """Serve while the context is open. Without a model answer UNAVAILABLE and wait for one. Options as for `Server`."""
    metrics = ScoreMetrics()
    money = await in_maintenance_thread(read_money, settings.base_currency, settings.exchange_rates)
    service = ScoringService(
        metrics, settings.max_batches, strict_extras=settings.strict_extras, models=settings.models_dir, money=money
    )
    async with Server(
        settings, {SERVICE: service}, worker=worker, flush=metrics.flush, roles=ROLES, handle_signals=handle_signals
    ) as server:
        server.jobs.add("models", lambda: keep_current(service, server, settings.models_dir, money.base))
        server.jobs.add("exchange-rates", lambda: refresh_rates(money), every=REFRESH_SECONDS)
        yield server
