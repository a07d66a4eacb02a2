"""Golden cases: a real agent and scorer open them beside others, and no reviewer can distinguish them."""

import random
import re
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from agent_server.audit.verify import read_head, rows_of, verify
from agent_server.cases.blind_view import BLIND_VIEW
from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.queries import CaseFilter, case_page, whole_case
from agent_server.cases.tables import CASES, GOLDEN_COPIES
from agent_server.decider import Decider
from agent_server.decisions.policy import Policy
from agent_server.feedback.golden_cases import GoldenCases, GoldenOrder, read_golden
from agent_server.feedback.golden_disguise import make_indistinguishable
from agent_server.feedback.outcomes import RecordOutcome
from agent_server.feedback.reviewers import reviewer_quality
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger import Ledger, LedgerError, open_engine
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED, DecisionFilter, record_page
from agent_server.ledger.records import order_of
from agent_server.ledger.schema import ENTRIES, MEMORY, PAYLOADS
from agent_server.policies.current import CurrentPolicy
from agent_server.privacy import Erase
from agent_server.services.agent import AgentService
from contract.messages import messages
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.access.caller import AUDITOR, REVIEWER, SHOP, WITHOUT_ROLE, Caller
from runtime.access.keys import digest, new_key
from runtime.errors import NotFound
from runtime.jobs import Jobs
from runtime.rpc.call import Call
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger
from testing.servers.replicas import agent, running, scorer
from testing.waiting import wait_for


async def open_golden_case(golden: GoldenCases, like: Transaction) -> Transaction | None:
    """Open a golden case like an order; return the golden order."""
    ledger = golden._ledger
    if not await golden.open_similar(like, "shop"):
        return None
    query = DECIDED.where(ENTRIES.c.kind == int(Kind.GOLDEN)).order_by(ENTRIES.c.sequence.desc()).limit(1)
    return order_of(await ledger.read(lambda rows: rows.execute(query).one()))


def golden_cases(ledger: Ledger, seed: int = 1) -> GoldenCases:
    """Return golden cases of one order, which is scored between the thresholds."""
    scorer: Any = _Scorer()
    current = CurrentPolicy(Policy(0.7, 0.4, minimum_evidence=0))
    return GoldenCases(ledger, scorer, current, [GoldenOrder(message(), pb.DECISION_DENY)], 1.0, random.Random(seed))


class _Scorer:
    """Gives every order a score between the thresholds, so that it becomes a case."""

    async def predict_many(self, orders: list[Transaction]) -> list[PredictResponse]:
        return [PredictResponse(legitimacy_score=0.55, model_version="m") for _ in orders]


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_real_order_with_the_id_of_a_golden_one_is_decided_normally(ledger_url: str, claimed: bool) -> None:
    """A real order is the first of its id and readable by all roles; the golden order and its case are gone."""
    engine = open_engine(ledger_url)
    ledger = Ledger(engine)
    await ledger.write(new_decision("1001"))
    order = await open_golden_case(golden_cases(ledger), message(transaction_id="t1001", user_id="customer-55"))
    assert order is not None
    page, _ = await ledger.read(case_page(CaseFilter(), None, 10))
    golden_id = next(case.case_id for case in page if case.golden_verdict)
    if claimed:
        await ledger.write(Claim(Reviewer("ada", 1), 600_000_000, golden_id))
    scoring: Any = None
    current: Any = None
    service, context = AgentService(Decider(scoring, current, ledger), ledger, scoring, Jobs()), _Context()
    request = pb.GetDecisionRequest(transaction_id=order.transaction_id)
    for role in (REVIEWER, AUDITOR):
        record = (await service.GetDecision(request, Call(context, Caller("x", role)))).record  # type: ignore[arg-type]
        assert record.transaction.user_id == order.user_id
    for role in (SHOP, WITHOUT_ROLE):
        with pytest.raises(NotFound):
            await service.GetDecision(request, Call(context, Caller("x", role)))  # type: ignore[arg-type]
    outcome = outcomes.Outcome(transaction_id=order.transaction_id, kind=outcomes.OUTCOME_KIND_CONFIRMED_GOOD)
    with pytest.raises(NotFound):
        await ledger.write(RecordOutcome(outcome, 1, "shop"))
    real = new_decision(order.transaction_id[1:], pb.DECISION_DENY, 0.1, user_id="somebody else")
    assert isinstance(await ledger.write(RecordAttempt(real._transaction)), HistoryFeatures)
    recorded = await ledger.write(real)
    assert (recorded.replayed, recorded.answer.revision, recorded.answer.decision) == (False, 1, pb.DECISION_DENY)
    for role in (SHOP, REVIEWER, AUDITOR):
        record = (await service.GetDecision(request, Call(context, Caller("x", role)))).record  # type: ignore[arg-type]
        assert (record.transaction.user_id, record.decision) == ("somebody else", pb.DECISION_DENY)
    records, _ = await ledger.read(
        record_page(DecisionFilter(transaction_id=order.transaction_id), None, 10, BLIND_VIEW)
    )
    assert [record.revision for record in records] == [1]
    whole = await ledger.read(whole_case(golden_id, "ada"))
    assert whole is not None and whole.case.status == cases.CASE_STATUS_RESOLVED and not whole.HasField("transaction")
    assert not (await ledger.read(reviewer_quality())).reviewers
    with engine.connect() as connection:
        assert not verify(rows_of(connection), read_head(connection), None).broken
    ledger.close()


async def test_a_golden_copy_goes_with_its_person(ledger_url: str) -> None:
    """A golden copy is erased with the customer whose order it imitates or whose labelled order it is, and no other."""
    engine = open_engine(ledger_url)
    ledger = Ledger(engine)
    for number, person in ((1001, "anna"), (1002, "bert")):
        await ledger.write(new_decision(number, user_id=person))
        assert await open_golden_case(
            golden_cases(ledger, number), message(transaction_id=f"t{number}", user_id=person)
        )

    async def left() -> int:
        query = sa.select(sa.func.count()).where(
            ENTRIES.c.kind == int(Kind.GOLDEN), PAYLOADS.c.sequence == ENTRIES.c.sequence
        )
        return await ledger.read(lambda rows: rows.execute(query).scalar_one())

    assert await left() == 2
    assert (await ledger.write(Erase(user_id="anna"))).decisions == 2 and await left() == 1
    await ledger.write(Erase(user_id="nobody"))
    assert await left() == 1
    assert (await ledger.write(Erase(user_id=message().user_id))).decisions == 1 and await left() == 0
    with engine.connect() as connection:
        assert not connection.execute(sa.select(GOLDEN_COPIES)).all()
        assert not verify(rows_of(connection), read_head(connection), None).broken
    ledger.close()


class _Context:
    """The context of a call without deadline and metadata."""

    def invocation_metadata(self) -> tuple[()]:
        return ()


def test_a_golden_order_has_the_fields_of_the_shops_order() -> None:
    """Fields that the shop's order lacks are cleared; time, currency and ids look like the shop's; the age stays."""
    golden = message(
        transaction_id="golden-1", user_id="golden-user", device_id="d", currency="EUR", account_age_days=9,
        extra_texts={"shop": "x"},
    )  # fmt: skip
    golden.timestamp.FromJsonString("2024-01-10T00:00:00Z")
    golden.account_created_date.FromJsonString("2024-01-01T00:00:00Z")
    like = message(transaction_id="order-5531", user_id="u1234567", currency="USD", account_age_days=100)
    like.timestamp.FromJsonString("2026-11-25T12:00:00Z")
    like.account_created_date.FromJsonString("2020-01-01T00:00:00Z")
    like.ClearField("device_id")
    order = make_indistinguishable(golden, like, random.Random(3))
    assert re.fullmatch(r"order-\d{4}", order.transaction_id) and re.fullmatch(r"u\d{7}", order.user_id)
    assert not order.HasField("device_id") and not order.extra_texts and order.currency == "USD"
    apart = like.timestamp.seconds - order.timestamp.seconds
    assert 0 <= apart < 600 and order.account_age_days == 9
    assert order.timestamp.seconds - order.account_created_date.seconds == 9 * 86_400


def test_files_that_are_none_are_refused(tmp_path: Path, table: pa.Table) -> None:
    """A missing file, or one without labels, is an error that names the setting or the column."""
    with pytest.raises(LedgerError, match="VOUCH_AGENT_GOLDEN_ORDERS"):
        read_golden(tmp_path / "nothing.csv")
    pq.write_table(table.slice(0, 5).drop_columns(["is_abuse"]), tmp_path / "orders.parquet")
    with pytest.raises(LedgerError, match="is_abuse"):
        read_golden(tmp_path / "orders.parquet")


async def test_a_share_is_drawn(tmp_path: Path) -> None:
    """One in fifty cases gets a golden one, at random; none without golden orders, or with a share of 0."""
    ledger = Ledger(open_engine(new_ledger(tmp_path / "ledger.db")))
    nobody: Any = None
    current: Any = CurrentPolicy(nobody)
    orders = [GoldenOrder(message(), pb.DECISION_DENY)]
    for golden_orders, share, low, high in ((orders, 0.02, 10, 32), (orders, 0.0, 0, 0), ([], 1.0, 0, 0)):
        golden = GoldenCases(ledger, nobody, current, golden_orders, share, random.Random(1))
        for _ in range(1000):
            golden.maybe_inject(message(), "shop")
        assert low <= golden._queue.qsize() <= high
    ledger.close()


def test_reviewers_cannot_distinguish_golden_cases(models: Path, table: pa.Table, tmp_path: Path) -> None:
    """An agent opens a golden case beside each case; no reviewer's call distinguishes them, an auditor's does."""
    made = {name: new_key() for name in ("shop", "reviewer", "auditor")}
    (tmp_path / "keys").write_text("\n".join(f"{name}:{digest(key)}:{name}" for name, key in made.items()))
    pq.write_table(table.slice(0, 2000), tmp_path / "golden.parquet")
    behind = scorer(tmp_path, models)
    front = agent(tmp_path, behind.address)
    own = {"VOUCH_AGENT_GOLDEN_ORDERS": str(tmp_path / "golden.parquet"), "VOUCH_AGENT_GOLDEN_CASES": "1"}
    front.settings = {**front.settings, **own, "VOUCH_AGENT_API_KEYS": str(tmp_path / "keys")}
    engine = open_engine(new_ledger(tmp_path / "chaos.db"))
    with engine.begin() as connection:
        connection.execute(
            MEMORY.update().values(since=0)
        )  # so that fields missing from orders are completed from history
    engine.dispose()
    as_shop, as_reviewer, as_auditor = (((("x-api-key", made[name]),)) for name in ("shop", "reviewer", "auditor"))
    with running(behind, front), grpc.insecure_channel(front.address) as channel:
        wait_for(behind.serving, what="the scorer")
        wait_for(front.listening, what="the agent")
        agents, queue = AgentServiceStub(channel), CaseServiceStub(channel)
        reviewed = 0
        for order in messages(table.slice(5000, 400)):
            order.ClearField("payment_attempts_24h")
            answer = agents.Review(pb.ReviewRequest(transaction=order), timeout=20, metadata=as_shop)
            reviewed += answer.decision == pb.DECISION_REVIEW
            if reviewed == 3:
                break
        wanted = cases.ListCasesRequest(page_size=100)

        def listed(who: Any) -> list[cases.Case]:
            return list(queue.ListCases(wanted, timeout=20, metadata=who).cases)

        wait_for(lambda: len(listed(as_auditor)) == 6, what="three golden cases")
        golden = {case.case_id for case in listed(as_auditor) if case.golden_verdict}
        assert len(golden) == 3
        seen = {case.case_id: case for case in listed(as_reviewer)}
        kinds = {}
        for case_id, case in seen.items():
            whole = queue.GetCase(cases.GetCaseRequest(case_id=case_id), timeout=20, metadata=as_reviewer)
            request = pb.GetDecisionRequest(transaction_id=case.transaction_id)
            record = agents.GetDecision(request, timeout=20, metadata=as_reviewer).record
            fields = [
                sorted(field.name for field, _ in each.ListFields()) for each in (case, whole, whole.review, record)
            ]
            assert [field.name for field in whole.review.completed_fields] == [
                "payment_attempts_24h", "automation_detected",
            ]  # fmt: skip
            assert not record.transaction.HasField("payment_attempts_24h")
            kinds[case_id] = (fields, record.caller, record.policy_digest, re.sub(r"\w", "x", case.transaction_id))
        assert {str(kinds[case_id][1:3]) for case_id in golden} == {str(kinds[i][1:3]) for i in set(seen) - golden}
        described = {"order_amount", "currency", "likely_abuse"}
        always = {"case_id", "transaction_id", "status", "opened_at", "legitimacy_score", "due_at", "expected_loss"}
        assert all(
            always <= set(kind[0][0]) <= always | described | {"decision_id", "reason", "recommendation"}
            for kind in kinds.values()
        )
        shown = {case_id: described & set(kind[0][0]) for case_id, kind in kinds.items()}
        assert {str(sorted(shown[i])) for i in golden} <= {str(sorted(shown[i])) for i in set(seen) - golden}
        records = agents.ListDecisions(
            pb.ListDecisionsRequest(page_size=1000), timeout=20, metadata=as_reviewer
        ).records
        assert {seen[case_id].transaction_id for case_id in golden} <= {one.transaction_id for one in records}
        records = agents.ListDecisions(pb.ListDecisionsRequest(page_size=1000), timeout=20, metadata=as_auditor).records
        assert not {seen[case_id].transaction_id for case_id in golden} & {one.transaction_id for one in records}
    engine = open_engine(f"sqlite:///{tmp_path / 'chaos.db'}")
    with engine.connect() as connection:
        assert sum(row.golden > 0 for row in connection.execute(CASES.select())) == 3
    engine.dispose()
