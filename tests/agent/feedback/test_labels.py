"""Labels: one age for all kinds, pages of any size, and never all rows in memory."""

import itertools
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.cases.tables import CASES
from agent_server.feedback import reviewers
from agent_server.feedback.labels import KnownLabel, known_labels, label_page
from agent_server.feedback.outcomes import RecordOutcome
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, append_decisions
from testing.ledger.templates import new_ledger
from tests.agent.cases.test_cases import LEASE, resolve

CHARGEBACK, GOOD = outcomes.OUTCOME_KIND_CHARGEBACK, outcomes.OUTCOME_KIND_CONFIRMED_GOOD
DAY = 86_400 * 1_000_000
NOW = 1_790_000_000 * 1_000_000


def decision_on(
    number: int,
    days_ago: int,
    decision: pb.Decision = pb.DECISION_APPROVE,
    numbers: Mapping[str, float] = MappingProxyType({}),
    texts: Mapping[str, str] = MappingProxyType({}),
    **fields: Any,
) -> RecordDecision:
    """Return a decision on an order with extras, made `days_ago` days ago."""
    order = message(transaction_id=f"t{number}", **fields)
    order.extra_numbers.update(numbers)
    order.extra_texts.update(texts)
    answer = answer_for(order.transaction_id, decision, 0.9)
    answer.decided_at.FromMicroseconds(NOW - days_ago * DAY)
    opening = NewCase(uuid.uuid4().hex, cases.CASE_REASON_UNCERTAIN)
    return RecordDecision(order, answer, DecisionContext("shop", "", "d" * 64), opening)


def report_on(
    number: int, days_ago: int, kind: outcomes.OutcomeKind = CHARGEBACK, source: str = "bank"
) -> RecordOutcome:
    """Return a report on an order, made `days_ago` days ago."""
    return RecordOutcome(
        outcomes.Outcome(transaction_id=f"t{number}", kind=kind, source=source), NOW - days_ago * DAY, "shop"
    )


async def judge(ledger: Ledger, number: int, days_ago: int, verdict: pb.Decision) -> None:
    """Record an order that a person judged `days_ago` days ago."""
    ada = Reviewer("ada", NOW - days_ago * DAY)
    review = decision_on(number, days_ago, pb.DECISION_REVIEW)
    case_id = (await ledger.write(review)).answer.case_id
    claimed = await ledger.write(Claim(ada, LEASE, case_id))
    assert claimed is not None
    await ledger.write(resolve(ada, claimed, verdict))


async def test_one_age_for_labels_of_all_kinds(ledger_url: str) -> None:
    """With an age, no younger order has a label from any source; without one, every statement is a label."""
    ledger = Ledger(open_engine(ledger_url))
    for number, days_ago in enumerate((100, 61, 59, 1)):
        await ledger.write(decision_on(number, days_ago))
        await ledger.write(decision_on(10 + number, days_ago))
        await ledger.write(report_on(10 + number, days_ago - 1))
        await ledger.write(decision_on(20 + number, days_ago))
        await ledger.write(report_on(20 + number, days_ago - 1, GOOD))
        await judge(ledger, 30 + number, days_ago, pb.DECISION_DENY)
        await ledger.write(decision_on(40 + number, days_ago, pb.DECISION_DENY))
    statements = await ledger.read(known_labels())
    assert {label.transaction_id for label in statements} == {f"t{n + m}" for n in (10, 20, 30) for m in range(4)}
    mature = await ledger.read(known_labels(matured_before=NOW - 60 * DAY))
    found = {label.transaction_id: (label.is_abuse, label.source) for label in mature}
    assert found == {
        **{f"t{number}": (False, "silence") for number in range(2)},
        **{f"t{10 + number}": (True, "bank") for number in range(2)},
        **{f"t{20 + number}": (False, "bank") for number in range(2)},
        **{f"t{30 + number}": (True, "verdict") for number in range(2)},
    }
    ledger.close()


async def _write_every_kind(url: str) -> None:
    """Write orders approved, denied, judged, reported twice, revised, and reported several times at one moment."""
    ledger = Ledger(open_engine(url))
    for number in range(60):
        decision = pb.DECISION_DENY if number % 10 == 9 else pb.DECISION_APPROVE
        await ledger.write(decision_on(number, 90 - number % 7, decision))
        if number % 4 == 0:
            await ledger.write(report_on(number, 50))
        if number % 8 == 0:
            await ledger.write(report_on(number, 50 - number % 3, GOOD, "support"))
        if number % 6 == 0:
            await ledger.write(decision_on(number, 70, pb.DECISION_APPROVE, order_amount=1.0))
    for number in range(60, 70):
        await judge(ledger, number, 80 - number % 3, pb.DECISION_DENY if number % 2 else pb.DECISION_APPROVE)
        if number % 5 == 0:
            await ledger.write(report_on(number, 20, GOOD))
    ledger.close()


class _RowCounter:
    """A connection that counts the rows in memory at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.most, self.read = connection, 0, 0

    def execute(self, query: Any) -> Any:
        parts: list[Sequence[Any]] = []
        result = self._connection.execute(query)
        if query.get_execution_options().get("yield_per"):
            return self._streamed(result)
        rows = result.all()
        parts.append(rows)
        self._note(len(rows))
        return _Rows(rows)

    def _streamed(self, result: Any) -> Any:
        counting = self

        class Streamed:
            def partitions(self) -> Any:
                for part in result.partitions():
                    counting._note(len(part))
                    yield part

        return Streamed()

    def _note(self, rows: int) -> None:
        self.most, self.read = max(self.most, rows), self.read + rows


class _Rows(list[Any]):
    def all(self) -> list[Any]:
        return list(self)


def _pages(connection: Any, size: int, **options: Any) -> list[list[KnownLabel]]:
    found = []
    known, after = label_page(None, size=size, **options)(connection)
    while True:
        found.append(known)
        if after is None:
            return found
        known, after = label_page(after, size=size, **options)(connection)


async def test_pages_are_the_labels(ledger_url: str) -> None:
    """Pages of any size contain each label once, the latest statement, oldest first, like one page of all."""
    await _write_every_kind(ledger_url)
    engine = open_engine(ledger_url)
    with engine.connect() as connection:
        for matured, since in itertools.product((None, NOW - 60 * DAY), (0, NOW - 49 * DAY)):
            ((*whole,),) = _pages(connection, 1000, since=since, matured_before=matured)
            assert len({label.transaction_id for label in whole}) == len(whole) > 3
            assert [label.at for label in whole] == sorted(label.at for label in whole)
            assert matured is not None or all(label.source != "silence" for label in whole)
            for size in (1, 2, 7, 20):
                pages = _pages(connection, size, since=since, matured_before=matured)
                assert list(itertools.chain.from_iterable(pages)) == whole
                assert max(map(len, pages)) <= size
    engine.dispose()


async def test_no_statement_after_a_moment_counts(ledger_url: str) -> None:
    """Statements made while pages are read change none of them: each order is listed once."""
    ledger = Ledger(open_engine(ledger_url))
    for number in range(4):
        await ledger.write(decision_on(number, 90))
        await ledger.write(report_on(number, 50 - number))
    until = NOW - 10 * DAY
    first, after = await ledger.read(label_page(size=2, until=until))
    for number in range(4):
        await ledger.write(report_on(number, 5, GOOD))
    second, _ = await ledger.read(label_page(after, size=4, until=until))
    assert [(label.transaction_id, label.is_abuse) for label in (*first, *second)] == [
        (f"t{n}", True) for n in range(4)
    ]
    assert not any(label.is_abuse for label in await ledger.read(known_labels()))
    ledger.close()


def test_a_page_does_not_read_the_ledger(tmp_path: Path) -> None:
    """A page reads the same number of rows from a ledger ten times as long."""
    read = []
    for records in (300, 3000):
        url = new_ledger(tmp_path / f"{records}.db")
        append_decisions(url, records, lambda number: decision_on(number, 90))
        engine = open_engine(url)
        with engine.connect() as connection:
            counting = _RowCounter(connection)
            known, after = label_page(None, matured_before=NOW, size=50)(counting)  # type: ignore[arg-type]
            assert len(known) == 50
            assert after is not None
            read.append((counting.most, counting.read))
        engine.dispose()
    assert read[0] == read[1]
    assert read[0][0] <= 50


async def test_reviewers_are_counted_in_parts(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report on reviewers has no more verdicts than one part in memory, and is the same for parts of any size."""
    ledger = Ledger(open_engine(ledger_url))
    for number in range(12):
        await judge(ledger, number, 5, pb.DECISION_DENY if number % 3 else pb.DECISION_APPROVE)
    ledger.close()
    engine = open_engine(ledger_url)
    with engine.begin() as connection:  # blind reviews of some of them
        rows = connection.execute(sa.select(CASES).order_by(CASES.c.case_id).limit(6)).all()
        for number, row in enumerate(rows):
            again = row._asdict() | {
                "case_id": f"{number:032x}", "round": 2, "review_of": row.case_id, "reviewer": "bob",
            }  # fmt: skip
            connection.execute(CASES.insert().values(again))
    answers = []
    with engine.connect() as connection:
        for size in (1, 5, 1000):
            monkeypatch.setattr(reviewers, "ROWS_PER_FETCH", size)
            counting = _RowCounter(connection)
            answers.append(reviewers.reviewer_quality()(counting))  # type: ignore[arg-type]
            assert counting.most <= size
            assert counting.read == 18
    engine.dispose()
    assert answers[0] == answers[1] == answers[2]
    assert answers[0].paired == 6
    assert {one.reviewer: (one.verdicts, one.paired, one.agreed) for one in answers[0].reviewers} == {
        "ada": (12, 6, 6), "bob": (6, 6, 6)
    }  # fmt: skip
