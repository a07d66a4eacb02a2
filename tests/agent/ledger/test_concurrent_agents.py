"""Several agents record on one PostgreSQL at the same time: one chain, one history, each order decided once."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.audit.signing import Signing, make_key
from agent_server.audit.verify import verify_ledger
from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import NewCase, VerdictDetails
from agent_server.cases.recording import RecordDecision
from agent_server.cases.tables import CASES
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.database.engine import snapshot
from agent_server.decisions.completion import to_proto
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.recording import DecisionContext, RecordedDecision
from agent_server.ledger.records import answer_of
from agent_server.ledger.schema import MEMORY, PAYLOADS
from agent_server.ledger.transaction.concurrent_commit import NOT_RUN, ConcurrentCommit
from agent_server.privacy import Erase
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.rpc.call import new_id
from testing.ledger.decisions import answer_for
from testing.ledger.history import compare_with_replay
from testing.ledger.templates import new_ledger_on
from testing.servers.postgres import Postgres, name_of
from testing.servers.processes import run
from testing.waiting import wait_for

AGENTS, ORDERS, AT = 4, 60, 1_700_000_000
DECISIONS = (pb.DECISION_APPROVE, pb.DECISION_DENY, pb.DECISION_DENY, pb.DECISION_REVIEW)


class _Call:
    """The part of a call that a verdict reads."""

    request_id = "verdict"


def order(number: int, amount: float = 5.0) -> Transaction:
    """Return an order without history fields, of one of three users on one of two devices."""
    made = Transaction(
        transaction_id=f"t{number}", user_id=f"user-{number % 3}", device_id=f"device-{number % 2}", card_id="card_a",
        ip_address="192.0.2.7", order_amount=amount,
    )  # fmt: skip
    made.timestamp.seconds, made.account_created_date.seconds = AT + number // 20, 1
    return made


def decision_of(transaction: Transaction, history: HistoryFeatures, decision: pb.Decision) -> RecordDecision:
    """Return the write that records a decision."""
    answer = answer_for(transaction.transaction_id, decision)
    answer.completed_fields.extend(to_proto(history.values))
    context = DecisionContext("shop", "", "", history.position)
    return RecordDecision(transaction, answer, context, NewCase(new_id(), cases.CASE_REASON_UNCERTAIN))


async def review(agent: Ledger, transaction: Transaction, decision: pb.Decision) -> pb.ReviewResponse:
    """Record an order and a decision on it as an agent does; return the answer."""
    history = await agent.write(RecordAttempt(transaction))
    if isinstance(history, RecordedDecision):
        return history.answer
    return (await agent.write(decision_of(transaction, history, decision))).answer


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Return the URL of a ledger on PostgreSQL whose history reaches back to the beginning."""
    made = new_ledger_on(postgres)
    engine = open_engine(made)
    with engine.begin() as connection:
        connection.execute(MEMORY.update().values(since=0))
    engine.dispose()
    return made


def open_agents(url: str, key: Path | None = None) -> list[Ledger]:
    """Return several agents on one ledger, as each process has one."""
    return [Ledger(open_engine(url), Signing(key) if key else None) for _ in range(AGENTS)]


@pytest.mark.parametrize("seed", range(2))
async def test_agents_share_one_chain_and_one_history(url: str, tmp_path: Path, seed: int) -> None:
    """Four agents decide the same orders at once, some with other contents, beside verdicts.

    Both chains verify, each content is decided once, and all history is that of a replay of the ledger.
    """
    make_key(tmp_path / "key.pem")
    chance, agents = random.Random(seed), open_agents(url, tmp_path / "key.pem")
    answers: dict[tuple[str, float], set[bytes]] = {}

    async def send(number: int, amount: float) -> None:
        transaction = order(number, amount)
        answer = await review(chance.choice(agents), transaction, chance.choice(DECISIONS))
        answers.setdefault((transaction.transaction_id, amount), set()).add(answer.SerializeToString())

    async def judge() -> None:
        by = Reviewer("ada")
        for agent in agents * 3:
            claimed = await agent.write(Claim(by, 10**9))
            if claimed is not None:
                verdict = Verdict(claimed, chance.choice(DECISIONS[:2]), VerdictDetails())
                await agent.write(Resolve(by, verdict, _Call()))  # type: ignore[arg-type]

    sent: list[Callable[[], Awaitable[Any]]] = [lambda n=n: send(n, 5.0) for n in range(ORDERS)]  # type: ignore[misc]
    sent += [lambda n=n: send(n, 5.0) for n in range(0, ORDERS, 3)]  # type: ignore[misc]
    sent += [lambda n=n: send(n, 6.0) for n in range(0, ORDERS, 7)]  # type: ignore[misc]
    chance.shuffle(sent)
    await asyncio.gather(*(one() for one in sent), judge())
    for agent in agents:
        agent.close()
    engine = open_engine(url, Signing(tmp_path / "key.pem"))
    with snapshot(engine) as connection:
        verified = verify_ledger(connection, None)
        chosen = DECIDED.add_columns(PAYLOADS.c.content_digest)
        decided = {row.sequence: row for row in connection.execute(chosen)}
        opened = connection.execute(sa.select(CASES.c.case_id, CASES.c.opened_by, CASES.c.sequence)).all()
    engine.dispose()
    assert (verified.broken, verified.signed) == ("", True)
    by_machine = Counter(
        row.content_digest
        for row in decided.values()
        if DecisionFacts.FromString(row.facts).decision_maker != pb.DECISION_MAKER_HUMAN
    )
    assert by_machine.total() == len(by_machine) == len(answers)
    assert opened
    for row in opened:
        assert answer_of(decided[row.opened_by]).case_id == row.case_id and row.sequence in decided
    compared = compare_with_replay(url)
    assert len(compared) == len(answers)
    assert [completed for completed, _ in compared] == [known for _, known in compared]
    placed = [DecisionFacts.FromString(row.facts).memory_kept for row in decided.values()]
    assert 0 in placed and any(placed), "both kinds of transactions have to be tested"


async def test_history_goes_on_after_an_older_version(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders that an older version recorded, and orders that it left undecided, are in the history of concurrent agents."""
    agents = open_agents(url)
    undecided: list[tuple[Transaction, HistoryFeatures]] = []
    with monkeypatch.context() as older:
        older.setattr(ConcurrentCommit, "run", lambda self, writes: [NOT_RUN] * len(writes))
        for number in range(24):
            history = await agents[0].write(RecordAttempt(order(number)))
            assert isinstance(history, HistoryFeatures)
            history = replace(history, position=replace(history.position, seen=0))
            if number % 4:
                decision = DECISIONS[number % 4]
                await agents[number % AGENTS].write(decision_of(order(number), history, decision))
            else:
                undecided.append((order(number), history))
    late = [
        agent.write(decision_of(transaction, history, pb.DECISION_DENY))
        for agent, (transaction, history) in zip(agents * 2, undecided, strict=False)
    ]
    new = [review(agents[number % AGENTS], order(number), DECISIONS[number % 4]) for number in range(24, 48)]
    await asyncio.gather(*late, *new)
    for agent in agents:
        agent.close()
    compared = compare_with_replay(url)
    assert len(compared) == 48
    assert [completed for completed, _ in compared] == [known for _, known in compared]


async def test_a_person_is_erased_beside_concurrent_agents(url: str) -> None:
    """An erasure while four agents record leaves nothing of the person that was recorded before, and valid chains."""
    agents = open_agents(url)
    for number in range(0, 30, 3):
        await review(agents[0], order(number), pb.DECISION_DENY)
    others = [number for number in range(100) if number % 3]
    erasing = asyncio.create_task(agents[1].write(Erase(user_id="user-0")))
    await asyncio.gather(
        *(review(agents[number % AGENTS], order(number), DECISIONS[number % 4]) for number in others),
    )
    erased = await erasing
    for agent in agents:
        agent.close()
    assert (erased.decisions, erased.remembered) == (10, 10)
    engine = open_engine(url)
    with snapshot(engine) as connection:
        assert not verify_ledger(connection, None).broken
        left = connection.execute(sa.select(PAYLOADS.c.user_id)).scalars().all()
    engine.dispose()
    assert len(left) == len(others) and "user-0" not in left


async def test_a_killed_agent_holds_up_nobody(url: str, tmp_path: Path) -> None:
    """An agent that is killed with -9 while it holds the head of the chain leaves no entry, and others go on at once."""
    code = (
        "import asyncio, os, signal\n"
        "from agent_server.ledger.transaction import concurrent\n"
        "from tests.agent.ledger.test_concurrent_agents import *\n"
        "def kill(*arguments): os.kill(os.getpid(), signal.SIGKILL)\n"
        "concurrent.check_head = kill\n"  # the head is locked, and nothing is written yet
        f"asyncio.run(review(Ledger(open_engine({url!r})), order(1), pb.DECISION_APPROVE))\n"
    )
    done = await asyncio.to_thread(run, "-c", code)
    assert done.returncode == -signal.SIGKILL, done.stderr
    agents = open_agents(url)
    for number, agent in enumerate(agents):
        assert not (await review(agent, order(number), pb.DECISION_DENY)).replaces_decision_id
        agent.close()
    compared = compare_with_replay(url)
    assert len(compared) == AGENTS
    assert [completed for completed, _ in compared] == [known for _, known in compared]


async def test_queries_of_a_new_ledger_scan_no_table(url: str, postgres: Postgres) -> None:
    """Plans that PostgreSQL makes while the tables are empty, and then keeps, read no whole table."""

    def scans(kind: str) -> int:
        chosen = f"SELECT sum({kind}) FROM pg_stat_user_tables WHERE relname IN ('attempts', 'entries', 'payloads')"
        with postgres.connect(name_of(url)) as connection:
            row = connection.execute(chosen.encode()).fetchone()
        assert row is not None
        return int(str(row[0]))

    by_table, by_index = scans("seq_scan"), scans("idx_scan")
    agent = Ledger(open_engine(url))
    for first in range(0, 96, 12):  # a statement is prepared after five times
        await asyncio.gather(*(review(agent, order(number), pb.DECISION_DENY) for number in range(first, first + 12)))
    agent.close()  # a connection publishes its counts when it ends
    await asyncio.to_thread(wait_for, lambda: scans("idx_scan") > by_index + 96, what="the counts of the agent")
    assert scans("seq_scan") == by_table
