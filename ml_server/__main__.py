"""`python -m ml_server` runs ScoringService; with `--workers N` in several processes."""

from ml_server.serving.running import running
from ml_server.settings import MlSettings
from runtime.process.main import main


async def serve(settings: MlSettings, worker: bool) -> None:
    """Serve until a stop signal."""
    async with running(settings, worker=worker) as server:
        await server.stopping.wait()


if __name__ == "__main__":
    raise SystemExit(main("ml_server", MlSettings, serve))
