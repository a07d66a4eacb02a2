"""Outcomes and labels: each is reported once, the latest statement counts, and erasure removes all."""

from pathlib import Path

import pyarrow as pa
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.feedback.labels import known_labels, labels_with_orders
from agent_server.feedback.outcomes import RecordOutcome, outcome_page
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext
from agent_server.privacy import Erase
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from runtime.errors import NotFound
from testing.ledger.decisions import answer_for, new_decision
from testing.ledger.templates import new_ledger
from testing.servers.processes import run
from tests.agent.cases.test_cases import LEASE, resolve

UNCERTAIN = cases.CASE_REASON_UNCERTAIN
CHARGEBACK, GOOD = outcomes.OUTCOME_KIND_CHARGEBACK, outcomes.OUTCOME_KIND_CONFIRMED_GOOD


def report(number: int, kind: outcomes.OutcomeKind = CHARGEBACK, now: int = 100, source: str = "bank") -> RecordOutcome:
    """Return a report on the order of a number."""
    outcome = outcomes.Outcome(transaction_id=f"t{number}", kind=kind, occurred_at=Timestamp(seconds=50), source=source)
    return RecordOutcome(outcome, now, "shop")


async def labels(ledger: Ledger, since: int = 0) -> list[tuple[str, bool, str]]:
    """Return order, label and source of all labels."""
    found: list[cases.ExportLabelsResponse] = await ledger.read(
        labels_with_orders(await ledger.read(known_labels(since)))
    )
    return [(label.transaction.transaction_id, label.is_abuse, label.source) for label in found]


async def test_the_same_report_is_one_outcome(ledger_url: str) -> None:
    """A repeated report, also by another reporter, keeps the first; another time, kind or source is another outcome."""
    ledger = Ledger(open_engine(ledger_url))
    await ledger.write(new_decision(1, pb.DECISION_APPROVE, 0.9))
    first, again = [await ledger.write(report(1, now=now)) for now in (100, 200)]
    assert (first.is_repeat, again.is_repeat) == (False, True) and first.outcome == again.outcome
    assert not (await ledger.write(report(1, source="support", now=300))).is_repeat
    found, _ = await ledger.read(outcome_page("t1"))
    assert [(outcome.source, outcome.reported_at.ToMicroseconds()) for outcome in found] == [
        ("bank", 100),
        ("support", 300),
    ]
    with pytest.raises(NotFound):
        await ledger.write(report(2))
    ledger.close()


async def test_the_latest_word_is_the_label(ledger_url: str) -> None:
    """The latest of verdict, chargeback and confirmation is the label; a decision without any has none."""
    ledger, ada = Ledger(open_engine(ledger_url)), Reviewer("ada", 10)
    case_id = (await ledger.write(new_decision(1))).answer.case_id
    await ledger.write(new_decision(2, pb.DECISION_DENY, 0.1))
    await ledger.write(new_decision(3, pb.DECISION_APPROVE, 0.9))
    claimed = await ledger.write(Claim(ada, LEASE, case_id))
    assert claimed is not None
    await ledger.write(resolve(ada, claimed, pb.DECISION_APPROVE))
    assert await labels(ledger) == [("t1", False, "verdict")]
    await ledger.write(report(1, now=1_000))
    await ledger.write(report(3, now=500))
    assert await labels(ledger) == [("t3", True, "bank"), ("t1", True, "bank")]
    await ledger.write(report(1, GOOD, now=2_000, source="support"))
    assert await labels(ledger, since=600) == [("t1", False, "support")]
    assert (await ledger.write(Erase(user_id="user-123"))).decisions == 4
    assert await labels(ledger) == [] and await ledger.read(outcome_page("t1")) == ([], None)
    ledger.close()


async def test_labels_train_a_model(tmp_path: Path, table: pa.Table) -> None:
    """Decided orders with outcomes yield labels that train a model; denied orders are left out."""
    url = new_ledger(tmp_path / "ledger.db")
    ledger, orders = Ledger(open_engine(url)), list(messages(table.slice(0, 400)))
    is_abuse = table.slice(0, 400).column("is_abuse").to_pylist()
    for number, (order, abuse) in enumerate(zip(orders, is_abuse, strict=True)):
        decision = pb.DECISION_DENY if number % 10 == 0 else pb.DECISION_APPROVE
        answer = answer_for(order.transaction_id, decision)
        await ledger.write(RecordDecision(order, answer, DecisionContext("", "", ""), NewCase("c", UNCERTAIN)))
        if abuse and number % 10:
            outcome = outcomes.Outcome(transaction_id=order.transaction_id, kind=CHARGEBACK, source="bank")
            await ledger.write(RecordOutcome(outcome, 100, "shop"))
    ledger.close()
    file = tmp_path / "labels.parquet"
    done = run("vouch.py", "labels", "--ledger", url, "export", "--output", str(file), "--matured", "0d")
    assert done.returncode == 0, done.stderr
    label_table = read_table(file)
    exported = dict(zip(label_table["transaction_id"].to_pylist(), label_table["is_abuse"].to_pylist(), strict=True))
    wanted = {
        order.transaction_id: abuse for n, (order, abuse) in enumerate(zip(orders, is_abuse, strict=True)) if n % 10
    }
    assert exported == wanted
    by_id = {order.transaction_id: order for order in orders}
    assert all(order == by_id[order.transaction_id] for order in messages(label_table))
    models = ("--models-dir", str(tmp_path / "models"), "--form", "tables", "--rounds", "5")
    trained = run("vouch.py", "train", "--dataset", str(file), *models)
    assert trained.returncode == 0, trained.stderr
    assert run("vouch.py", "labels", "--ledger", url, "export", "--output", str(tmp_path / "x.txt")).returncode == 2
