"""kill -9 of agents, and of PostgreSQL under them, while reviews run: whatever was acknowledged is kept, once, as answered."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from agent_server.audit.verify import end_of, rows_of, verify
from agent_server.cases.queries import WantedCases, case_page
from agent_server.ledger import open_engine
from agent_server.ledger.queries import Wanted, record_page
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from testing.load import Outcome, Traffic
from testing.servers.clients import AGENT, channel, order
from testing.servers.postgres import Postgres
from testing.servers.replicas import Replica, running, scorer
from testing.servers.replicas import agent as agent_replica
from testing.waiting import wait_for

ANSWERS = 60
"""Between one kill and the next."""
_PAGE = 1000


@dataclass(frozen=True)
class LedgerKept:
    """What callers were told, and how the ledger differs from it: all counts must be 0 but those of calls."""

    outcome: Outcome
    missing: int
    different: int
    doubled: int
    lost_cases: int
    other_answers: int
    broken: str


async def kill_agents(
    folder: Path,
    models: Path,
    kills: int,
    rate: float,
    *,
    agents: int = 1,
    url: str = "",
    postgres: Postgres | None = None,
) -> LedgerKept:
    """Kill a random agent, or with `postgres` the database, again and again under load; then compare."""
    url = url or f"sqlite:///{folder / 'ledger.db'}"
    behind = scorer(folder, models)
    fronts = [agent_replica(folder, behind.address, ledger_url=url) for _ in range(agents)]
    chance, run = random.Random(1), f"kills-{agents}-{bool(postgres)}"
    with running(behind, *fronts):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        async with channel([front.address for front in fronts], AGENT) as opened:
            stub, number = AgentServiceStub(opened), 0

            def call() -> Awaitable[Message]:
                nonlocal number
                number += 1
                answer: Awaitable[Message] = stub.Review(
                    agent.ReviewRequest(transaction=order(f"{run}-{number}")), timeout=20
                )
                return answer

            async with Traffic(call, rate) as traffic:
                await traffic.answers(ANSWERS)
                for _ in range(kills):
                    await asyncio.to_thread(_kill(chance, fronts, postgres))
                    await traffic.answers(ANSWERS)
            again = await _asked_again(stub, traffic.outcome)
    return _compared(url, traffic.outcome, again)


def _kill(chance: random.Random, fronts: Sequence[Replica], postgres: Postgres | None) -> Callable[[], None]:
    def kill() -> None:
        if postgres is not None:
            postgres.kill()
            postgres.start()
            return
        front = chance.choice(fronts)
        front.signal(signal.SIGKILL)
        assert front.process is not None
        front.process.wait()
        front.start()

    return kill


async def _asked_again(stub: AgentServiceStub, outcome: Outcome) -> int:
    """How many of the last acknowledged orders get another answer when they are asked again."""
    other = 0
    for _, answered in outcome.answers[-50:]:
        assert isinstance(answered, agent.ReviewResponse)
        again = await stub.Review(agent.ReviewRequest(transaction=order(answered.transaction_id)), timeout=20)
        other += again.SerializeToString() != answered.SerializeToString()
    return other


def _compared(url: str, outcome: Outcome, other_answers: int) -> LedgerKept:
    engine = open_engine(url)
    kept: dict[str, list[agent.ReviewResponse]] = {}
    with engine.connect() as connection:
        after: int | None = 0
        while after is not None:
            page, after = record_page(Wanted(), after, _PAGE)(connection)
            for record in page:
                kept.setdefault(record.transaction_id, []).append(record.answer)
        cases, before = set[str](), None
        while True:
            records, before = case_page(WantedCases(), before, _PAGE)(connection)
            cases |= {case.case_id for case in records}
            if before is None:
                break
        verified = verify(rows_of(connection), end_of(connection), None)
    engine.dispose()
    reviews = {answer.case_id for answers in kept.values() for answer in answers if answer.case_id}
    answers = [answer for _, answer in outcome.answers if isinstance(answer, agent.ReviewResponse)]
    first = {name: kept[name][0].SerializeToString() for name in kept}
    return LedgerKept(
        outcome,
        missing=sum(answer.transaction_id not in kept for answer in answers),
        different=sum(first.get(answer.transaction_id, b"") != answer.SerializeToString() for answer in answers),
        doubled=sum(len(records) > 1 and not records[0].degraded for records in kept.values()),
        lost_cases=len(reviews ^ cases),
        other_answers=other_answers,
        broken=verified.broken,
    )
