"""`python -m agent_server` serves AgentService and CaseService."""

import sys

import structlog

from agent_server.ledger import Ledger, LedgerError, open_engine
from agent_server.policy import Policy
from agent_server.reviewer import Reviewer
from agent_server.scoring_client import ScoringClient
from agent_server.service import AgentService, CaseService
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2, case_service_pb2
from runtime import logging
from runtime.loop import run
from runtime.serving import PortTaken, Server, stop_signal
from runtime.settings import SettingsError

_log = structlog.get_logger()


async def serve(settings: AgentSettings) -> None:
    """Serve until a signal. Starts without the scorer too; reviews answer UNAVAILABLE until it is there."""
    ledger = Ledger(open_engine(settings.ledger_url))
    scoring = ScoringClient(settings.scorer, settings.scorer_timeout_seconds)
    policy = Policy(settings.approve_threshold, settings.deny_threshold, settings.decides)
    server = Server(
        settings.listen,
        {
            agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"]: AgentService(
                Reviewer(scoring, policy, ledger), ledger, scoring
            ),
            case_service_pb2.DESCRIPTOR.services_by_name["CaseService"]: CaseService(ledger),
        },
    )
    try:
        await server.start()
        async with stop_signal() as stopped:
            await server.set_serving(True)
            _log.info("listening", address=settings.listen, port=server.port, policy=policy.version)
            await stopped.wait()
            _log.info("draining")
            await server.stop()
    finally:
        await scoring.close()
        ledger.close()
    _log.info("stopped")


def main() -> int:
    """Run the agent; return its exit code: 0 stopped by a signal, 2 it could not start."""
    logging.configure("agent_server")
    try:
        run(serve(AgentSettings.read()))
    except (SettingsError, PortTaken, LedgerError) as error:
        print(f"agent_server: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
