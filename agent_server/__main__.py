"""`python -m agent_server` serves the agent's four services. `--workers N` uses several processes."""

from agent_server.ledger import LedgerError
from agent_server.policies.yaml_reader import PolicyError
from agent_server.running import running
from agent_server.settings import AgentSettings
from enrichment.errors import DataFileError
from runtime.process.main import main


async def serve(settings: AgentSettings, worker: bool) -> None:
    """Serve until a signal stops the server."""
    async with running(settings, worker=worker) as server:
        await server.stopping.wait()


if __name__ == "__main__":
    raise SystemExit(main("agent_server", AgentSettings, serve, (LedgerError, PolicyError, DataFileError)))
