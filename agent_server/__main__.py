"""`python -m agent_server` serves AgentService, CaseService and PrivacyService; `--workers N` in several processes."""

from agent_server.ledger import LedgerError
from agent_server.policies.nodes import PolicyError
from agent_server.running import running
from agent_server.settings import AgentSettings
from runtime.process.main import main


async def serve(settings: AgentSettings, worker: bool) -> None:
    """Serve until a signal."""
    async with running(settings, worker=worker) as server:
        await server.stopping.wait()


if __name__ == "__main__":
    raise SystemExit(main("agent_server", AgentSettings, serve, (LedgerError, PolicyError)))
