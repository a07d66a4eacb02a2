"""`python -m ml_server` serves ScoringService."""

import asyncio
import sys

import structlog

from generated.vouch.v1 import scoring_service_pb2
from ml_server.artifacts import ArtifactError, load
from ml_server.service import ScoringService
from ml_server.settings import MlSettings
from runtime import logging
from runtime.loop import run
from runtime.serving import PortTaken, Server, stop_signal
from runtime.settings import SettingsError

SERVICE = scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"]
_RETRY_SECONDS = 2.0
_log = structlog.get_logger()


async def serve(settings: MlSettings) -> None:
    """Serve until a signal; without a model, answer UNAVAILABLE and look for one every two seconds."""
    service = ScoringService()
    server = Server(settings.listen, {SERVICE: service})
    await server.start()
    async with stop_signal() as stopped:
        _log.info("listening", address=settings.listen, port=server.port)
        loading = asyncio.create_task(_load(service, server, settings))
        await stopped.wait()
        loading.cancel()
        _log.info("draining")
        await server.stop()
    _log.info("stopped")


async def _load(service: ScoringService, server: Server, settings: MlSettings) -> None:
    told = ""
    while True:
        try:
            model = await asyncio.to_thread(load, settings.models_dir)
        except ArtifactError as error:
            if str(error) != told:  # once for each cause, not every two seconds
                _log.error("no model to serve", cause=str(error))
                told = str(error)
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        service.serve(model)
        await server.set_serving(True)
        _log.info("serving", model_version=model.version)
        return


def main() -> int:
    """Run the scorer; return its exit code: 0 stopped by a signal, 2 it could not start."""
    logging.configure("ml_server")
    try:
        run(serve(MlSettings.read()))
    except (SettingsError, PortTaken) as error:
        print(f"ml_server: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
