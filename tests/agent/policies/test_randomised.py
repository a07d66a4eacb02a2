"""Randomised approvals: the share is as configured, drawn by a key, and weighted in training."""

from pathlib import Path

import pytest

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.feedback.labels import known_labels, labels_with_orders
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import latest_record
from agent_server.ledger.recording import DecisionContext
from agent_server.policies.document import read_policy
from agent_server.policies.yaml_reader import PolicyError
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, new_decision
from tests.agent.feedback.test_outcomes import report

SHARE, ORDERS = 0.05, 4000
TEXT = """\
randomised_approvals: {share: 0.05, up_to: 200}
rules:
- {name: blocked, when: order.device_id == "bad", then: deny, reason: r}
"""


def policy(folder: Path, key: bytes = b"a key of our own") -> Policy:
    """Return a policy with randomised approvals."""
    (folder / "policy.yaml").write_text(TEXT)
    return read_policy(folder / "policy.yaml", Policy(0.7, 0.4, randomising_key=key))[0]


def is_approved(policy: Policy, number: int, score: float = 0.1, amount: float = 100.0, device: str = "d") -> bool:
    """Return whether an order is approved; a drawn one has its probability and its decision maker."""
    order = message(transaction_id=f"t{number}", order_amount=amount, device_id=device)
    answer, _ = decide(policy, order, PredictResponse(legitimacy_score=score))
    drawn = answer.HasField("randomised_probability")
    if drawn:
        assert (answer.randomised_probability, answer.decision_maker) == (SHARE, pb.DECISION_MAKER_POLICY)
        assert (answer.decision, "at random" in answer.reasoning) == (pb.DECISION_APPROVE, True)
    return drawn


def test_the_share_is_drawn_by_the_key(tmp_path: Path) -> None:
    """The share is within six standard deviations; the same key draws the same orders, another key others."""
    own, other = policy(tmp_path), policy(tmp_path, b"another key, not ours")
    drawn = [is_approved(own, number) for number in range(ORDERS)]
    deviation = (ORDERS * SHARE * (1 - SHARE)) ** 0.5
    assert abs(sum(drawn) - ORDERS * SHARE) < 6 * deviation
    assert drawn == [is_approved(own, number) for number in range(ORDERS)]
    both = sum(is_approved(other, number) for number, hit in enumerate(drawn) if hit)
    assert both < 6 * SHARE * sum(drawn)
    assert "key" not in repr(own) and "key" not in own.version


def test_only_what_the_score_denies_is_drawn(tmp_path: Path) -> None:
    """Never drawn: what a rule denies, what is reviewed, what has no score, and what exceeds the amount limit."""
    own = policy(tmp_path)
    hit = next(number for number in range(ORDERS) if is_approved(own, number))
    assert is_approved(own, hit, amount=200.0) and not is_approved(own, hit, amount=200.01)
    assert not is_approved(own, hit, device="bad")
    assert not is_approved(own, hit, score=0.5) and not is_approved(own, hit, score=0.9)
    unscored, _ = decide(own, message(transaction_id=f"t{hit}", order_amount=1.0), None)
    assert not unscored.HasField("randomised_probability")


def test_it_needs_a_key_and_a_limit(tmp_path: Path) -> None:
    """A key is required, else anybody could predict the draws; a limit is required, else the loss is unlimited."""
    with pytest.raises(PolicyError, match=r"policy.yaml:1:23: .*VOUCH_AGENT_RANDOMISING_KEY"):
        policy(tmp_path, b"")
    (tmp_path / "policy.yaml").write_text("randomised_approvals: {share: 0.05}\n")
    with pytest.raises(PolicyError, match="up_to is missing"):
        read_policy(tmp_path / "policy.yaml", Policy(0.7, 0.4, randomising_key=b"k" * 16))


async def test_the_probability_is_recorded_and_weighs_the_label(ledger_url: str) -> None:
    """The probability is in the record and in the repeated answer, and its inverse is the label's weight."""
    ledger = Ledger(open_engine(ledger_url))
    answer = answer_for("t1", pb.DECISION_APPROVE, 0.1)
    answer.randomised_probability = SHARE
    writing = RecordDecision(
        message(transaction_id="t1"), answer, DecisionContext("shop", "r", "d"),
        NewCase("c", cases.CASE_REASON_UNSPECIFIED),
    )  # fmt: skip
    await ledger.write(writing)
    await ledger.write(new_decision(2, pb.DECISION_APPROVE, 0.9))
    record = await ledger.read(latest_record("t1"))
    assert record is not None
    assert (record.randomised_probability, record.answer.randomised_probability) == (SHARE, SHARE)
    for number in (1, 2):
        await ledger.write(report(number))
    known = await ledger.read(known_labels())
    weights = {label.transaction.transaction_id: label.weight for label in await ledger.read(labels_with_orders(known))}
    assert weights == {"t1": pytest.approx(20.0), "t2": 1.0}
    ledger.close()
