"""Job that keeps the current model serving: it loads and checks a new model next to the old one, then swaps them.

`models/current` and `models/challenger` are checked every second, and at once on SIGHUP. If a model cannot be read, or
scores its golden examples differently from training, the old one keeps serving; the failure is logged and counted.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from ml_server.registry.bundle import ArtifactError, Bundle, form_name
from ml_server.registry.golden_examples import check
from ml_server.registry.store import CHALLENGER, CURRENT, load, read_pointer
from ml_server.serving.metrics import SWAP_FAILURES, show_model
from ml_server.serving.scorer import Scorer
from ml_server.serving.service import ScoringService
from runtime.jobs import in_maintenance_thread
from runtime.process.event_loop import tune_gc
from runtime.rpc.server import Server
from runtime.telemetry.logging import get_logger

POLL_SECONDS = 1.0
_log = get_logger()


def load_checked(models: Path, version: str | None = None) -> Bundle:
    """Load a model, the current one by default, and check its golden examples. Raises ArtifactError."""
    bundle = load(models, version)
    check(bundle, Scorer(bundle).score)
    return bundle


class Pointer:
    """Watches one pointer of a folder of models."""

    def __init__(self, models: Path, name: str, read: Callable[[], Bundle]) -> None:
        self._models, self._name, self._read = models, name, read
        self._target, self._last_error = "", ""

    async def load_new(self, serving: str, reload: bool) -> Bundle | None:
        """Return the checked model of a changed pointer; None if nothing changed or the new model is invalid.

        `serving` is the version in use, empty for none; `reload` forces reading it again.
        """
        target = read_pointer(self._models, self._name)
        if serving and not reload and (not target or target == self._target):
            return None
        try:
            # In a maintenance thread, so that requests are answered meanwhile.
            bundle = await in_maintenance_thread(self._read)
        except ArtifactError as error:
            if str(error) != self._last_error or reload:  # log once for each cause, not every second
                event = "model refused" if serving else "no model to serve"
                _log.error(event, pointer=self._name, cause=str(error), stays=serving or None)
                SWAP_FAILURES.inc()
            self._last_error = str(error)
            if serving:
                self._target = target  # retry an invalid model only after it changes
            return None
        self._target, self._last_error = target, ""
        return bundle if bundle.version != serving else None


async def keep_current(service: ScoringService, server: Server, models: Path) -> None:
    """Serve the current model, and switch when it changes. Without any model, wait for one."""
    current = Pointer(models, CURRENT, lambda: load_checked(models))
    challenger = Pointer(models, CHALLENGER, lambda: load_checked(models, read_pointer(models, CHALLENGER)))
    while True:
        reload = server.reload.is_set()
        server.reload.clear()
        if bundle := await current.load_new(service.version, reload):
            earlier = service.version
            service.serve(bundle)
            show_model(bundle.version, earlier)
            tune_gc(first=not earlier)
            await server.set_serving(True)
            _log.info("serving", model_version=bundle.version, form=form_name(bundle.learned), before=earlier or None)
        if not read_pointer(models, CHALLENGER):
            service.challenge(None)
        elif bundle := await challenger.load_new(service.challenger_version, reload):
            service.challenge(bundle)
            _log.info("challenger loaded", model_version=bundle.version)
        try:
            await asyncio.wait_for(server.reload.wait(), POLL_SECONDS)
        except TimeoutError:
            continue
