"""Background jobs of the agent survive failures: damaged records, a ledger that is unavailable for a moment."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from agent_server.cases.changes import CaseFeed, newest_change
from agent_server.cases.rescoring import SKIPPED, Rescoring, unscored_cases
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from agent_server.policies.current import CurrentPolicy
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.jobs import Jobs
from testing.ledger.decisions import new_decision


class Scorer:
    """Gives every order the same score."""

    async def available(self) -> bool:
        """Return True."""
        return True

    async def predict_many(self, orders: Sequence[Transaction]) -> list[PredictResponse]:
        """Score all orders as legitimate."""
        return [PredictResponse(legitimacy_score=0.95, model_version="m") for _ in orders]


async def test_a_damaged_record_does_not_block_others(ledger_url: str) -> None:
    """Unscored cases whose payload or facts are damaged are skipped, logged and counted; others are scored."""
    ledger = Ledger(open_engine(ledger_url))
    for name in ("payload", "facts", "good"):
        await ledger.write(new_decision(name, score=None))
    rows = {row.transaction_id: row.sequence for _, row in await ledger.read(unscored_cases(10))}
    damage = [
        PAYLOADS.update().where(PAYLOADS.c.sequence == rows["tpayload"]).values(payload=b"\xff\xff"),
        ENTRIES.update().where(ENTRIES.c.sequence == rows["tfacts"]).values(facts=b"\xff\xff"),
    ]
    for statement in damage:
        await ledger.write(lambda group, statement=statement: group.execute(statement) and None)  # type: ignore[misc]
    scorer: Any = Scorer()
    rescoring, before = Rescoring(ledger, scorer, CurrentPolicy(Policy(0.7, 0.4))), SKIPPED._value.get()
    with structlog.testing.capture_logs() as lines:
        assert await rescoring.run_once() == 1
        assert await rescoring.run_once() == 0
    assert SKIPPED._value.get() - before == 2
    assert len([line for line in lines if "cannot be read" in line["event"]]) == 2
    left = {row.transaction_id for _, row in await ledger.read(unscored_cases(10))}
    assert left == {"tpayload", "tfacts"}
    ledger.close()


async def test_watchers_miss_nothing_when_reading_fails(ledger_url: str) -> None:
    """If reading changes fails with an unexpected error, it restarts behind the last change that was sent."""
    ledger = Ledger(open_engine(ledger_url))
    feed, failures, read = CaseFeed(ledger), [LookupError, ValueError], ledger.read

    async def shaky(query: Any) -> Any:
        if failures and query is not newest_change:
            raise failures.pop()
        return await read(query)

    ledger.read = shaky  # type: ignore[method-assign]
    watched = list[str]()
    async with Jobs() as jobs, asyncio.timeout(60):
        jobs.add("case-changes", feed.read_changes)
        watching = feed.watch(0, None)
        await anext(watching)
        for number in range(3):
            await ledger.write(new_decision(number))
        while len(watched) < 3:
            answer = await anext(watching)
            if answer.HasField("case"):
                watched.append(answer.case.transaction_id)
        await watching.aclose()  # type: ignore[attr-defined]
    assert watched == ["t0", "t1", "t2"]
    assert not failures
    ledger.close()
