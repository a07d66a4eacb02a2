"""kill -9 of agents, and of PostgreSQL, under reviews: each acknowledged answer is recorded once, as it was sent."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from agent_server.audit.verify import verify_ledger
from agent_server.cases.queries import CaseFilter, case_page
from agent_server.database.engine import snapshot, writing
from agent_server.ledger import open_engine
from agent_server.ledger.queries import DecisionFilter, record_page
from agent_server.ledger.schema import MEMORY
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import NAMES
from testing.ledger.history import compare_with_replay
from testing.load import Outcome, Traffic
from testing.servers.clients import AGENT, channel, order
from testing.servers.postgres import Postgres
from testing.servers.replicas import Replica, running, scorer
from testing.servers.replicas import agent as agent_replica
from testing.waiting import wait_for

ANSWERS = 60
"""Answers between two kills."""
_PAGE = 1000


@dataclass(frozen=True)
class LedgerResult:
    """The acknowledged calls, and the differences of the ledger from them. All counts must be 0 but those of calls."""

    outcome: Outcome
    missing: int
    different: int
    doubled: int
    lost_cases: int
    other_answers: int
    broken: str
    completed: int
    """Fields that were completed from history."""
    other_history: int
    """Decisions whose completed fields differ from a replay of the ledger."""


async def kill_agents(
    folder: Path,
    models: Path,
    kills: int,
    rate: float,
    *,
    agents: int = 1,
    url: str = "",
    postgres: Postgres | None = None,
    between: int = ANSWERS,
) -> LedgerResult:
    """Kill a random agent, or with `postgres` the database, repeatedly under load; then compare."""
    url = url or f"sqlite:///{folder / 'ledger.db'}"
    _extend_history(url)
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
                    agent.ReviewRequest(transaction=_order(f"{run}-{number}", number)), timeout=20
                )
                return answer

            async with Traffic(call, rate) as traffic:
                await traffic.answers(between)
                for _ in range(kills):
                    await asyncio.to_thread(_kill(chance, fronts, postgres))
                    await traffic.answers(between)
            again = await _count_other_answers(stub, traffic.outcome)
    return _compare(url, traffic.outcome, again)


def _extend_history(url: str) -> None:
    """Let the history window reach back to the beginning, since there were no earlier orders."""
    engine = open_engine(url)
    with writing(engine) as connection, connection.begin():
        connection.execute(MEMORY.update().values(since=0))
    engine.dispose()


def _order(transaction_id: str, number: int) -> Transaction:
    """Return an order of one of a few users and devices, without history fields."""
    raw = order(transaction_id)
    for name in NAMES:
        raw.ClearField(name)
    raw.user_id, raw.device_id, raw.card_id = f"user-{number % 7}", f"device-{number % 3}", f"card-{number % 4}"
    raw.timestamp.seconds += number // 10
    raw.account_created_date.seconds = 1
    return raw


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


async def _count_other_answers(stub: AgentServiceStub, outcome: Outcome) -> int:
    """Count the latest acknowledged orders that get another answer when they are sent again."""
    other = 0
    for _, answered in outcome.answers[-50:]:
        assert isinstance(answered, agent.ReviewResponse)
        number = int(answered.transaction_id.rpartition("-")[2])
        request = agent.ReviewRequest(transaction=_order(answered.transaction_id, number))
        again = await stub.Review(request, timeout=20)
        other += again.SerializeToString() != answered.SerializeToString()
    return other


def _compare(url: str, outcome: Outcome, other_answers: int) -> LedgerResult:
    engine = open_engine(url)
    recorded: dict[str, list[agent.ReviewResponse]] = {}
    with snapshot(engine) as connection:
        after: int | None = 0
        while after is not None:
            page, after = record_page(DecisionFilter(), after, _PAGE)(connection)
            for record in page:
                recorded.setdefault(record.transaction_id, []).append(record.answer)
        cases, before = set[str](), None
        while True:
            records, before = case_page(CaseFilter(), before, _PAGE)(connection)
            cases |= {case.case_id for case in records}
            if before is None:
                break
        verified = verify_ledger(connection, None)
    engine.dispose()
    history = compare_with_replay(url)
    reviews = {answer.case_id for answers in recorded.values() for answer in answers if answer.case_id}
    answers = [answer for _, answer in outcome.answers if isinstance(answer, agent.ReviewResponse)]
    first = {name: recorded[name][0].SerializeToString() for name in recorded}
    return LedgerResult(
        outcome,
        missing=sum(answer.transaction_id not in recorded for answer in answers),
        different=sum(first.get(answer.transaction_id, b"") != answer.SerializeToString() for answer in answers),
        doubled=sum(len(records) > 1 and not records[0].degraded for records in recorded.values()),
        lost_cases=len(reviews ^ cases),
        other_answers=other_answers,
        broken=verified.broken,
        completed=sum(len(completed) for completed, _ in history),
        other_history=sum(completed != known for completed, known in history),
    )
