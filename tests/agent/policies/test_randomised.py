"""Orders that are let through at random: as many as said, drawn by a key, and weighted when they are learned from."""

from pathlib import Path

import pytest

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.feedback.labels import known_labels, labelled
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import latest_record
from agent_server.ledger.recording import DecisionContext
from agent_server.policies.document import read_policy
from agent_server.policies.nodes import PolicyError
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, keep
from tests.agent.feedback.test_outcomes import report

SHARE, ORDERS = 0.05, 4000
TEXT = """\
randomised_approvals: {share: 0.05, up_to: 200}
rules:
- {name: blocked, when: order.device_id == "bad", then: deny, reason: r}
"""


def policy(folder: Path, key: bytes = b"a key of our own") -> Policy:
    """A policy with randomised approvals."""
    (folder / "policy.yaml").write_text(TEXT)
    return read_policy(folder / "policy.yaml", Policy(0.7, 0.4, randomising_key=key))[0]


def let_through(policy: Policy, number: int, score: float = 0.1, amount: float = 100.0, device: str = "d") -> bool:
    """Whether an order is approved; one that was drawn says with which probability, and who decided."""
    order = message(transaction_id=f"t{number}", order_amount=amount, device_id=device)
    answer, _ = decide(policy, order, PredictResponse(legitimacy_score=score))
    drawn = answer.HasField("randomised_probability")
    if drawn:
        assert (answer.randomised_probability, answer.decision_maker) == (SHARE, pb.DECISION_MAKER_POLICY)
        assert (answer.decision, "at random" in answer.reasoning) == (pb.DECISION_APPROVE, True)
    return drawn


def test_the_share_is_drawn_by_the_key(tmp_path: Path) -> None:
    """Within six standard deviations of the share; the same again; by another key others."""
    own, other = policy(tmp_path), policy(tmp_path, b"another key, not ours")
    drawn = [let_through(own, number) for number in range(ORDERS)]
    deviation = (ORDERS * SHARE * (1 - SHARE)) ** 0.5
    assert abs(sum(drawn) - ORDERS * SHARE) < 6 * deviation
    assert drawn == [let_through(own, number) for number in range(ORDERS)]
    both = sum(let_through(other, number) for number, hit in enumerate(drawn) if hit)
    assert both < 6 * SHARE * sum(drawn)
    assert "key" not in repr(own) and "key" not in own.version


def test_only_what_the_score_denies_is_drawn(tmp_path: Path) -> None:
    """Never what a rule denies, what is reviewed, what was not scored, or what is worth more than the limit."""
    own = policy(tmp_path)
    hit = next(number for number in range(ORDERS) if let_through(own, number))
    assert let_through(own, hit, amount=200.0) and not let_through(own, hit, amount=200.01)
    assert not let_through(own, hit, device="bad")
    assert not let_through(own, hit, score=0.5) and not let_through(own, hit, score=0.9)
    unscored, _ = decide(own, message(transaction_id=f"t{hit}", order_amount=1.0), None)
    assert not unscored.HasField("randomised_probability")


def test_it_needs_a_key_and_a_limit(tmp_path: Path) -> None:
    """Without a key anybody could tell which orders are let through; without a limit the loss has none."""
    with pytest.raises(PolicyError, match=r"policy.yaml:1:23: .*VOUCH_AGENT_RANDOMISING_KEY"):
        policy(tmp_path, b"")
    (tmp_path / "policy.yaml").write_text("randomised_approvals: {share: 0.05}\n")
    with pytest.raises(PolicyError, match="up_to is missing"):
        read_policy(tmp_path / "policy.yaml", Policy(0.7, 0.4, randomising_key=b"k" * 16))


async def test_the_probability_is_kept_and_weighs_the_label(ledger_url: str) -> None:
    """It stands in the record, in the answer as it is given again, and its inverse is the label's weight."""
    ledger = Ledger(open_engine(ledger_url))
    answer = answer_for("t1", pb.DECISION_APPROVE, 0.1)
    answer.randomised_probability = SHARE
    writing = RecordDecision(
        message(transaction_id="t1"), answer, DecisionContext("shop", "r", "d"),
        NewCase("c", cases.CASE_REASON_UNSPECIFIED),
    )  # fmt: skip
    await ledger.write(writing)
    await ledger.write(keep(2, pb.DECISION_APPROVE, 0.9))
    record = await ledger.read(latest_record("t1"))
    assert record is not None
    assert (record.randomised_probability, record.answer.randomised_probability) == (SHARE, SHARE)
    for number in (1, 2):
        await ledger.write(report(number))
    known = await ledger.read(known_labels())
    weights = {label.transaction.transaction_id: label.weight for label in await ledger.read(labelled(known))}
    assert weights == {"t1": pytest.approx(20.0), "t2": 1.0}
    ledger.close()
