"""Scorer, agent and both REST apps in the process of a test, as in `vouch serve`, but without ports for REST."""

import contextlib
import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from fastapi import FastAPI
from google.protobuf.descriptor import ServiceDescriptor

from agent_server import running as deciding
from agent_server.scoring.client import ScoringClient
from agent_server.settings import AgentSettings
from http_bridge.application import use_local_stubs
from ml_server.serving import running as scoring
from ml_server.settings import MlSettings
from runtime.rpc.local import LocalHealth
from runtime.rpc.server import Server
from testing.ledger.templates import new_ledger

_ANY_PORT = {"listen": "127.0.0.1:0", "metrics_listen": ""}


@dataclass
class LocalServices:
    """Both servers and both apps."""

    scorer: Server
    agent: Server
    apps: dict[str, FastAPI]

    def client(self, name: str) -> httpx.AsyncClient:
        """Return a client of an app, `ml` or `agent`."""
        transport = httpx.ASGITransport(self.apps[name], raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def server_of(self, service: ServiceDescriptor) -> Server:
        """Return the server of a service."""
        return self.scorer if service is scoring.SERVICE else self.agent


@contextlib.asynccontextmanager
async def local_services(
    models: Path, folder: Path, *, agent: Mapping[str, Any] | None = None, ml: Mapping[str, Any] | None = None,
    bridge: Mapping[str, str] | None = None,
) -> AsyncIterator[LocalServices]:  # fmt: skip
    """Run the services while the context lasts; `bridge` has settings by name suffix: `{"max_lines": "5"}`."""
    path = folder / "ledger.db"
    ledger = f"sqlite:///{path}" if path.exists() else new_ledger(path)
    agent_settings = AgentSettings.read(**{**_ANY_PORT, "ledger_url": ledger, **(agent or {})})
    async with (
        scoring.running(
            MlSettings.read(**{**_ANY_PORT, "models_dir": models, **(ml or {})}), handle_signals=False
        ) as scorer,
        deciding.running(agent_settings, handle_signals=False, scoring=_reaching(scorer, agent_settings)) as decider,
        contextlib.AsyncExitStack() as stack,
    ):
        health = {"health": LocalHealth(scorer.health)}
        stubs = {"agent": deciding.AGENT, "cases": deciding.CASES, "outcomes": deciding.OUTCOMES}
        apps = {
            "ml": use_local_stubs(
                bridge_app("ml", **(bridge or {})), {"scoring": scorer.stub(scoring.SERVICE), **health}
            ),
            "agent": use_local_stubs(
                bridge_app("agent", **(bridge or {})),
                {
                    **{name: decider.stub(service) for name, service in stubs.items()},
                    "health": LocalHealth(decider.health),
                },
            ),
        }
        for app in apps.values():
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield LocalServices(scorer, decider, apps)


def bridge_app(name: str, **settings: str) -> FastAPI:
    """Load the module of an app again, with settings of its own, and return the app."""
    known = importlib.util.find_spec(f"http_bridge.{name}")
    assert known is not None and known.loader is not None
    module = importlib.util.module_from_spec(known)
    environment = {f"VOUCH_HTTP_{key.upper()}": value for key, value in settings.items()}
    # Only this entry is restored: patch.dict would also drop modules that another thread imports meanwhile.
    previous = sys.modules.get(known.name)
    sys.modules[known.name] = module
    try:
        with mock.patch.dict(os.environ, environment):
            known.loader.exec_module(module)
    finally:
        if previous is None:
            del sys.modules[known.name]
        else:
            sys.modules[known.name] = previous
    app: FastAPI = module.app
    return app


def _reaching(scorer: Server, settings: AgentSettings) -> ScoringClient:
    stub, health = scorer.stub(scoring.SERVICE), LocalHealth(scorer.health)
    return ScoringClient(stub, health, settings.scorer_timeout_seconds, settings.scorer_key)
