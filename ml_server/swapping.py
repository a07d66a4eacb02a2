"""Keeps the current model serving: finds it, loads it beside the one that serves, proves it, swaps.

`models/current` is looked at every second, and at once on SIGHUP. A model that cannot be read or that scores its examples
otherwise than training did leaves the old one serving; a line in the log and a metric tell.
"""

import asyncio
import os
from pathlib import Path

from ml_server.artifacts import CURRENT, ArtifactError, Model, load
from ml_server.examples import check
from ml_server.metrics import SWAP_FAILURES, show_model
from ml_server.service import ScoringService
from runtime.logging import get_logger
from runtime.loop import settle_garbage
from runtime.serving import Server

LOOK_SECONDS = 1.0
_log = get_logger()


def proven(models: Path) -> Model:
    """The current model, loaded and checked on its examples. Raises ArtifactError."""
    model = load(models)
    check(model)
    return model


async def keep_current(service: ScoringService, server: Server, models: Path) -> None:
    """Serve the current model from now on, whichever it is. Without any, look for one."""
    served, told = "", ""
    while True:
        asked = server.reload.is_set()
        server.reload.clear()
        pointer = _pointer(models)
        if not service.version or asked or (pointer and pointer != served):
            try:
                # In a thread: answers go on meanwhile.
                model = await asyncio.to_thread(proven, models)
            except ArtifactError as error:
                if str(error) != told or asked:  # once for each cause, not every second
                    stays = service.version or None
                    _log.error("no model to serve" if stays is None else "model refused", cause=str(error), stays=stays)
                    SWAP_FAILURES.inc()
                told = str(error)
                served = pointer if service.version else served  # a broken one is not tried again until it changes
            else:
                served, told = pointer, ""
                if model.version != service.version:
                    earlier = service.version
                    service.serve(model)
                    show_model(model.version, earlier)
                    settle_garbage()
                    await server.set_serving(True)
                    _log.info("serving", model_version=model.version, before=earlier or None)
        try:
            await asyncio.wait_for(server.reload.wait(), LOOK_SECONDS)
        except TimeoutError:
            continue


def _pointer(models: Path) -> str:
    """What `models/current` points to; empty where it points to nothing."""
    try:
        return os.readlink(models / CURRENT)
    except OSError:
        return ""
