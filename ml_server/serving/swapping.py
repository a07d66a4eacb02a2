"""Keeps the current model serving: finds it, loads it beside the one that serves, proves it, swaps; the challenger likewise.

`models/current` and `models/challenger` are looked at every second, and at once on SIGHUP. A model that cannot be read or that
scores its golden examples otherwise than training did leaves the old one serving; a line in the log and a metric tell.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from ml_server.registry.bundle import ArtifactError, Bundle
from ml_server.registry.golden_examples import check
from ml_server.registry.store import CHALLENGER, CURRENT, load, pointed
from ml_server.serving.metrics import SWAP_FAILURES, show_model
from ml_server.serving.scorer import Scorer
from ml_server.serving.service import ScoringService
from runtime.jobs import in_maintenance_thread
from runtime.process.event_loop import tune_gc
from runtime.rpc.server import Server
from runtime.telemetry.logging import get_logger

LOOK_SECONDS = 1.0
_log = get_logger()


def proven(models: Path, version: str | None = None) -> Bundle:
    """A model, the current one by default, loaded and checked on its golden examples. Raises ArtifactError."""
    bundle = load(models, version)
    check(bundle, Scorer(bundle).score)
    return bundle


class Pointer:
    """Follows one pointer of a folder of models."""

    def __init__(self, models: Path, name: str, read: Callable[[], Bundle]) -> None:
        self._models, self._name, self._read = models, name, read
        self._followed, self._told = "", ""

    async def follow(self, serving: str, asked: bool) -> Bundle | None:
        """The model it newly points to, proven; None where nothing changed, or the new one is refused.

        `serving` is the version in use, empty for none; `asked` says that somebody wants it read again.
        """
        target = pointed(self._models, self._name)
        if serving and not asked and (not target or target == self._followed):
            return None
        try:
            # In a thread of maintenance: answers go on meanwhile.
            bundle = await in_maintenance_thread(self._read)
        except ArtifactError as error:
            if str(error) != self._told or asked:  # once for each cause, not every second
                event = "model refused" if serving else "no model to serve"
                _log.error(event, pointer=self._name, cause=str(error), stays=serving or None)
                SWAP_FAILURES.inc()
            self._told = str(error)
            if serving:
                self._followed = target  # a broken one is not tried again until it changes
            return None
        self._followed, self._told = target, ""
        return bundle if bundle.version != serving else None


async def keep_current(service: ScoringService, server: Server, models: Path) -> None:
    """Serve the current model from now on, whichever it is. Without any, look for one."""
    current = Pointer(models, CURRENT, lambda: proven(models))
    challenger = Pointer(models, CHALLENGER, lambda: proven(models, pointed(models, CHALLENGER)))
    while True:
        asked = server.reload.is_set()
        server.reload.clear()
        if bundle := await current.follow(service.version, asked):
            earlier = service.version
            service.serve(bundle)
            show_model(bundle.version, earlier)
            tune_gc(first=not earlier)
            await server.set_serving(True)
            _log.info("serving", model_version=bundle.version, before=earlier or None)
        if not pointed(models, CHALLENGER):
            service.challenge(None)
        elif bundle := await challenger.follow(service.challenger_version, asked):
            service.challenge(bundle)
            _log.info("challenged", by=bundle.version)
        try:
            await asyncio.wait_for(server.reload.wait(), LOOK_SECONDS)
        except TimeoutError:
            continue
