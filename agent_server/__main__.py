"""`python -m agent_server` serves AgentService and CaseService; `--workers N` in several processes."""

import asyncio

from agent_server.audit.signing import Signing
from agent_server.decider import Decider
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger, LedgerError, open_engine
from agent_server.rescoring import Rescoring
from agent_server.scoring_client import ScoringClient
from agent_server.services.agent import AgentService
from agent_server.services.cases import CaseService
from agent_server.services.privacy import PrivacyService
from agent_server.services.roles import ROLES
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2, case_service_pb2, privacy_service_pb2, scoring_service_pb2
from runtime.access.tls import ClientTls
from runtime.process.main import main
from runtime.rpc.health import NOT_SERVING, SERVING
from runtime.rpc.server import Server

AGENT = agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"]
SCORER = scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"].full_name
HEALTH_SECONDS = 5.0
"""So often, where nothing else is written, a write proves that decisions can be kept."""
PRIVACY = privacy_service_pb2.DESCRIPTOR.services_by_name["PrivacyService"]
CASES = case_service_pb2.DESCRIPTOR.services_by_name["CaseService"]


async def serve(settings: AgentSettings, worker: bool) -> None:
    """Serve until a signal. Starts without the scorer too: what is decided meanwhile is scored when it is there."""
    signer = Signing(settings.ledger_key) if settings.ledger_key else None
    engine = open_engine(settings.ledger_url)
    ledger, scoring, policy = Ledger(engine, signer), scoring_client(settings), policy_of(settings)
    services = {
        AGENT: AgentService(Decider(scoring, policy, ledger), ledger, scoring),
        CASES: CaseService(ledger),
        PRIVACY: PrivacyService(ledger, engine),
    }
    try:
        async with Server(settings, services, worker=worker, roles=ROLES) as server:
            background = [
                asyncio.create_task(tell_health(server, ledger, scoring)),
                asyncio.create_task(Rescoring(ledger, scoring, policy).for_ever()),
            ]
            await server.stopping.wait()
            for task in background:
                task.cancel()
    finally:
        await scoring.close()
        ledger.close()


def policy_of(settings: AgentSettings) -> Policy:
    """The policy that settings name."""
    return Policy(
        settings.approve_threshold, settings.deny_threshold, settings.decides, settings.minimum_evidence,
        settings.unscored,
    )  # fmt: skip


async def tell_health(server: Server, ledger: Ledger, scoring: ScoringClient) -> None:
    """Keep health checks true: the agent's own services serve while decisions can be kept; the scorer's while it is reached."""
    while True:
        kept, reached = await asyncio.gather(ledger.available(HEALTH_SECONDS), scoring.available())
        await server.set_serving(kept)
        await server.health.set(SCORER, SERVING if reached else NOT_SERVING)
        await asyncio.sleep(1.0)


def scoring_client(settings: AgentSettings) -> ScoringClient:
    """The way to the scorer, with TLS and an API key where settings name them."""
    tls = None
    if settings.scorer_tls_ca:
        tls = ClientTls(settings.scorer_tls_ca, settings.scorer_tls_certificate, settings.scorer_tls_key)
    key = settings.scorer_api_key.get_secret_value() if settings.scorer_api_key else ""
    return ScoringClient(settings.scorer, settings.scorer_timeout_seconds, key, tls)


if __name__ == "__main__":
    raise SystemExit(main("agent_server", AgentSettings, serve, (LedgerError,)))
