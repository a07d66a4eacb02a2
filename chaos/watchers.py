"""Watchers of the queue on two agents, one of which is killed and restarted: each change is seen once, in order."""

import asyncio
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import sqlalchemy as sa

from agent_server.cases.tables import CASE_CHANGES
from agent_server.ledger import Ledger, open_engine
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from testing.ledger.decisions import new_decision
from testing.servers.replicas import Replica, agent, running
from testing.waiting import free_port, wait_for

_ON_ONE_CONNECTION, _SECONDS, _PATIENCE = 50, 10.0, 120.0
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


@dataclass
class WatcherResult:
    """Results. `missed`, `doubled` and `disorder` must be 0."""

    watchers: int
    changes: int = 0
    reconnected: int = 0
    missed: int = 0
    doubled: int = 0
    disorder: int = 0


@dataclass
class _Watcher:
    """Reads changes from either agent, and reconnects with the cursor of the last one."""

    stubs: list[CaseServiceStub]
    cursor: int
    seen: list[tuple[int, int]] = field(default_factory=list)
    reconnected: int = -1

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            self.reconnected += 1
            try:
                async for change in random.choice(self.stubs).WatchCases(cases.WatchCasesRequest(cursor=self.cursor)):
                    if change.kind:
                        self.seen.append((change.cursor, change.kind))
                    self.cursor = change.cursor
            except grpc.aio.AioRpcError as error:
                if error.code() not in _GONE:
                    raise
                await asyncio.sleep(0.05)


async def watch(folder: Path, watchers: int, number: int) -> WatcherResult:
    """Run watchers while cases are claimed, renewed and resolved; kill an agent with -9 halfway."""
    url = f"sqlite:///{folder / 'cases.db'}"
    engine = open_engine(url)
    ledger = Ledger(engine)
    recorded = await asyncio.gather(*(ledger.write(new_decision(at)) for at in range(number)))
    agents = [agent(folder, f"127.0.0.1:{free_port()}", ledger_url=url) for _ in range(2)]
    with running(*agents):
        for each in agents:
            await asyncio.to_thread(wait_for, each.listening, what="an agent listening")
        channels = [
            [grpc.aio.insecure_channel(each.address, (("grpc.use_local_subchannel_pool", 1),)) for each in agents]
            for _ in range(-(-watchers // _ON_ONE_CONNECTION))
        ]
        stubs = [[CaseServiceStub(channel) for channel in pair] for pair in channels]
        begun = (await stubs[0][0].ListCases(cases.ListCasesRequest(page_size=1), timeout=_SECONDS)).cursor
        people = [_Watcher(stubs[at // _ON_ONE_CONNECTION], begun) for at in range(watchers)]
        watching = [asyncio.create_task(each.watch()) for each in people]
        await _work([one.answer.case_id for one in recorded], agents, stubs[0])
        with engine.connect() as connection:
            chosen = sa.select(CASE_CHANGES.c.change, CASE_CHANGES.c.kind).where(CASE_CHANGES.c.change > begun)
            wanted = [(row.change, row.kind) for row in connection.execute(chosen.order_by(CASE_CHANGES.c.change))]
        async with asyncio.timeout(_PATIENCE):
            while any(each.cursor < wanted[-1][0] for each in people) and not any(task.done() for task in watching):
                await asyncio.sleep(0.05)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await asyncio.gather(*(channel.close() for pair in channels for channel in pair))
    ledger.close()
    result = WatcherResult(watchers, len(wanted), sum(each.reconnected for each in people))
    for person in people:
        result.missed += len(set(wanted) - set(person.seen))
        result.doubled += sum(count - 1 for count in Counter(person.seen).values())
        result.disorder += person.seen != sorted(person.seen)
    return result


async def _work(case_ids: list[str], agents: list[Replica], stubs: list[CaseServiceStub]) -> None:
    """Claim, renew and resolve every case through either agent."""
    for place, case_id in enumerate(case_ids):
        if place == len(case_ids) // 2:
            agents[0].signal(signal.SIGKILL)
            assert agents[0].process is not None
            await asyncio.to_thread(agents[0].process.wait)
            agents[0].start()
        token = 0
        while True:
            stub = random.choice(stubs)
            try:
                token = (await stub.ClaimCase(cases.ClaimCaseRequest(case_id=case_id), timeout=_SECONDS)).token
                await stub.RenewClaim(cases.RenewClaimRequest(case_id=case_id, token=token), timeout=_SECONDS)
                resolved = cases.ResolveCaseRequest(case_id=case_id, token=token, verdict=pb.DECISION_DENY)
                await stub.ResolveCase(resolved, timeout=_SECONDS)
                break
            except grpc.aio.AioRpcError as error:
                if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                    break  # it was resolved, but the answer was lost
                if error.code() not in _GONE:
                    raise
