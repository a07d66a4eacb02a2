"""A scorer that answers while its gate is open, and an agent that uses it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc

from agent_server.ledger import open_engine
from agent_server.ledger.queries import DecisionFilter, record_page
from agent_server.running import AGENT, running
from agent_server.scoring.client import ScoringClient
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2 as scoring
from ml_server.registry.bundle import Bundle
from ml_server.serving.running import ROLES, SERVICE
from ml_server.serving.service import ScoringService
from ml_server.settings import MlSettings
from runtime.rpc.call import Call
from runtime.rpc.local import LocalHealth
from runtime.rpc.server import Server
from testing.inputs.orders import message
from testing.ledger.templates import new_ledger

TIMEOUT = 0.3
"""The scorer's timeout, in seconds. Late calls wait for a closed gate, so that the machine's speed does not matter."""


class GatedScorer(ScoringService):
    """A scorer that answers only while its gate is open, and counts the calls in flight."""

    def __init__(self, model: Bundle) -> None:
        super().__init__()
        self.serve(model)
        self.gate, self.under_way, self.called = asyncio.Event(), 0, 0

    async def _wait(self) -> None:
        self.called += 1
        self.under_way += 1
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1

    async def Predict(self, request: scoring.PredictRequest, call: Call) -> scoring.PredictResponse:
        """Score one order."""
        await self._wait()
        return await super().Predict(request, call)

    async def PredictBatch(self, request: scoring.PredictBatchRequest, call: Call) -> scoring.PredictBatchResponse:
        """Score a batch."""
        await self._wait()
        return await super().PredictBatch(request, call)


class Services:
    """A gated scorer and an agent that uses it, in one process."""

    def __init__(self, scorer: GatedScorer, scorer_server: Server, agent: Server, client: ScoringClient, url: str):
        self.scorer, self.scorer_server, self.agent, self.client, self.url = scorer, scorer_server, agent, client, url
        self._number = 0

    async def review(self, **fields: Any) -> str:
        """Review a new order and return the status."""
        self._number += 1
        stub: Any = self.agent.stub(AGENT)
        order = message(transaction_id=f"order-{self._number}", **fields)
        try:
            await stub.Review(pb.ReviewRequest(transaction=order), timeout=60)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    def records(self) -> list[pb.DecisionRecord]:
        """Return all decisions of the ledger."""
        engine = open_engine(self.url)
        with engine.connect() as connection:
            found, after = list[pb.DecisionRecord](), 0
            while True:
                page, following = record_page(DecisionFilter(), after, 500)(connection)
                found += page
                if not following:
                    break
                after = following
        engine.dispose()
        return found


@contextlib.asynccontextmanager
async def serve(
    model: Bundle, folder: Path, wire: bool, of_agent: Mapping[str, Any] = MappingProxyType({}), **of_scorer: Any
) -> AsyncIterator[Services]:
    """Run both; the agent reaches its scorer in process, as in `vouch serve`, or over a connection."""
    scorer, url = GatedScorer(model), new_ledger(folder / "ledger.db")
    ml = MlSettings.read(listen="127.0.0.1:0", metrics_listen="", lame_duck_seconds=0.0, drain_seconds=0.0, **of_scorer)
    settings = AgentSettings.read(
        listen="127.0.0.1:0", metrics_listen="", lame_duck_seconds=0.0, ledger_url=url, **of_agent,
    )  # fmt: skip
    async with Server(ml, {SERVICE: scorer}, roles=ROLES, handle_signals=False) as server:
        await server.set_serving(True)
        if wire:
            client = ScoringClient.connect(f"127.0.0.1:{server.port}", TIMEOUT)
        else:
            client = ScoringClient(server.stub(SERVICE), LocalHealth(server.health), TIMEOUT)
        async with running(settings, handle_signals=False, scoring=client) as agent:
            yield Services(scorer, server, agent, client, url)
            scorer.gate.set()


async def count_statuses(*calls: Awaitable[str]) -> Counter[str]:
    """Count the statuses of the answers."""
    return Counter(await asyncio.gather(*calls))
