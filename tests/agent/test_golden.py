"""Golden cases: real agent and scorer open them beside others, and no reviewer can tell them apart."""

import random
import re
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_server.cases.disguise import disguised, like_this
from agent_server.golden import GoldenCases, GoldenOrder, read_golden
from agent_server.ledger import Ledger, LedgerError, open_engine
from agent_server.ledger.schema import CASES, MEMORY
from agent_server.policies.current import CurrentPolicy
from contract.messages import messages
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.access.keys import digest, new_key
from testing.orders import message
from testing.servers.replicas import agent, running, scorer
from testing.waiting import wait_for

ids = st.text(st.sampled_from("abcdefABCDXYZ0123456789_-:."), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("t-104233", r"t-\d{6}"),
        ("ORD_2025_000123", r"ORD_2025_\d{6}|ORD_\d{4}_\d{6}"),
        ("3f2b9c1e-77aa-4b1e-9c3e-0a1b2c3d4e5f", r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"),
        ("ch_3MqLiJLkdIwHu7ix", r"ch_\d[A-Z][a-z]{1}[A-Za-z0-9]{13}"),
        ("user-7", r"user-\d+"),
        ("12345678", r"\d{8}"),
    ],
)
def test_ids_look_like_the_shops(text: str, pattern: str) -> None:
    """What is constant in a shop's ids stays, and what counts or was drawn is drawn anew."""
    made = {like_this(text, random.Random(seed)) for seed in range(50)}
    assert len(made) > 40 and all(re.fullmatch(pattern, one) for one in made), made


@given(text=ids, seed=st.integers(0, 1000))
def test_a_made_id_is_no_longer_than_a_request_may_hold(text: str, seed: int) -> None:
    """It is printable, not empty, and at most four characters longer than the one that it is like."""
    made = like_this(text, random.Random(seed))
    assert 0 < len(made) <= len(text) + 4 and made.isprintable()


def test_a_disguise_holds_what_the_shop_sends_and_no_more() -> None:
    """Fields that the shop's order lacks are left out; time, currency and ids are those of its kind; age stays as it was."""
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
    order = disguised(golden, like, random.Random(3))
    assert re.fullmatch(r"order-\d{4}", order.transaction_id) and re.fullmatch(r"u\d{7}", order.user_id)
    assert not order.HasField("device_id") and not order.extra_texts and order.currency == "USD"
    apart = like.timestamp.seconds - order.timestamp.seconds
    assert 0 <= apart < 600 and order.account_age_days == 9
    assert order.timestamp.seconds - order.account_created_date.seconds == 9 * 86_400


def test_files_that_are_none_are_refused(tmp_path: Path, table: pa.Table) -> None:
    """A file that is missing, or has no labels, is told by the name of the setting."""
    with pytest.raises(LedgerError, match="VOUCH_AGENT_GOLDEN_ORDERS"):
        read_golden(tmp_path / "nothing.csv")
    pq.write_table(table.slice(0, 5).drop_columns(["is_abuse"]), tmp_path / "orders.parquet")
    with pytest.raises(LedgerError, match="is_abuse"):
        read_golden(tmp_path / "orders.parquet")


async def test_a_share_is_drawn(tmp_path: Path) -> None:
    """One in fifty cases has a golden one beside it, at random; none without golden orders, or with a share of 0."""
    ledger = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.db'}"))
    nobody: Any = None
    current: Any = CurrentPolicy(nobody)
    orders = [GoldenOrder(message(), pb.DECISION_DENY)]
    for golden_orders, share, low, high in ((orders, 0.02, 10, 32), (orders, 0.0, 0, 0), ([], 1.0, 0, 0)):
        golden = GoldenCases(ledger, nobody, current, golden_orders, share, random.Random(1))
        for _ in range(1000):
            golden.beside(message(), "shop")
        assert low <= golden._waiting.qsize() <= high
    ledger.close()


def test_reviewers_cannot_tell(models: Path, table: pa.Table, tmp_path: Path) -> None:
    """An agent with golden orders opens a case beside each; by every call a reviewer sees two of one kind, an auditor which."""
    made = {name: new_key() for name in ("shop", "reviewer", "auditor")}
    (tmp_path / "keys").write_text("\n".join(f"{name}:{digest(key)}:{name}" for name, key in made.items()))
    pq.write_table(table.slice(0, 2000), tmp_path / "golden.parquet")
    behind = scorer(tmp_path, models)
    front = agent(tmp_path, behind.address)
    own = {"VOUCH_AGENT_GOLDEN_ORDERS": str(tmp_path / "golden.parquet"), "VOUCH_AGENT_GOLDEN_CASES": "1"}
    front.settings = {**front.settings, **own, "VOUCH_AGENT_API_KEYS": str(tmp_path / "keys")}
    engine = open_engine(f"sqlite:///{tmp_path / 'chaos.db'}")
    with engine.begin() as connection:
        connection.execute(MEMORY.update().values(since=0))  # so that memory fills in what orders lack
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
            assert [field.name for field in whole.review.completed_fields] == ["payment_attempts_24h"]
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
