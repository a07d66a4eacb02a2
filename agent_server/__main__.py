"""`python -m agent_server` serves AgentService and CaseService; `--workers N` in several processes."""

from agent_server.ledger import Ledger, LedgerError, open_engine
from agent_server.policy import Policy
from agent_server.reviewer import Reviewer
from agent_server.scoring_client import ScoringClient
from agent_server.service import AgentService, CaseService
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2, case_service_pb2
from runtime.process import main
from runtime.serving import Server
from runtime.tls import ClientTls

AGENT = agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"]
CASES = case_service_pb2.DESCRIPTOR.services_by_name["CaseService"]


async def serve(settings: AgentSettings, worker: bool) -> None:
    """Serve until a signal. Starts without the scorer too; reviews answer UNAVAILABLE until it is there."""
    ledger = Ledger(open_engine(settings.ledger_url))
    scoring = scoring_client(settings)
    policy = Policy(settings.approve_threshold, settings.deny_threshold, settings.decides)
    agent = AgentService(Reviewer(scoring, policy, ledger), ledger, scoring)
    try:
        async with Server(settings, {AGENT: agent, CASES: CaseService(ledger)}, worker=worker) as server:
            await server.set_serving(True)
            await server.stopping.wait()
    finally:
        await scoring.close()
        ledger.close()


def scoring_client(settings: AgentSettings) -> ScoringClient:
    """The way to the scorer, with TLS and an API key where settings name them."""
    tls = None
    if settings.scorer_tls_ca:
        tls = ClientTls(settings.scorer_tls_ca, settings.scorer_tls_certificate, settings.scorer_tls_key)
    key = settings.scorer_api_key.get_secret_value() if settings.scorer_api_key else ""
    return ScoringClient(settings.scorer, settings.scorer_timeout_seconds, key, tls)


if __name__ == "__main__":
    raise SystemExit(main("agent_server", AgentSettings, serve, (LedgerError,)))
