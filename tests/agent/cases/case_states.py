"""Every state of a case and every event, for the test of all transitions."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

from agent_server.cases.claims import Renew, Reviewer
from agent_server.cases.rescoring import make_rescore
from agent_server.decisions.policy import Policy
from agent_server.feedback.golden_cases import GoldenCases, GoldenOrder
from agent_server.policies.current import CurrentPolicy
from agent_server.privacy import Erase
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision
from tests.agent.cases.case_world import APPROVE, DENY, LEASE, World

POLICY = Policy(0.7, 0.4, minimum_evidence=0)


class UncertainScorer:
    """Gives every order a score between the thresholds, so that it becomes a case."""

    async def predict_many(self, orders: list[Transaction], **_: Any) -> list[PredictResponse]:
        """Score the orders."""
        return [PredictResponse(legitimacy_score=0.55, model_version="m") for _ in orders]


# States: functions that bring a case into each of them.
async def _open(world: World) -> None:
    await world.open(0.5)


async def _open_unscored(world: World) -> None:
    await world.open()


async def _claimed(world: World) -> None:
    await world.open(0.5)
    await world.claim("ada")


async def _claimed_unscored(world: World) -> None:
    await world.open()
    await world.claim("ada")


async def _claim_expired(world: World) -> None:
    await _claimed_unscored(world)
    world.now += LEASE + 1


async def _released(world: World) -> None:
    await _claimed_unscored(world)
    await world.release()


async def _resolved(world: World) -> None:
    await world.open()
    await world.judge("ada", DENY)


async def _closed_by_rescoring(world: World) -> None:
    await world.open()
    await _rescore(world)


async def _second_open(world: World) -> None:
    await world.open()
    await world.judge("ada", DENY, drawn=True)
    await world.next_review()


async def _second_claimed(world: World) -> None:
    await _second_open(world)
    await world.claim("bob")


async def _second_resolved(world: World) -> None:
    await _second_claimed(world)
    await world.decide(DENY)


async def _third_open(world: World) -> None:
    await _second_claimed(world)
    await world.decide(APPROVE)
    await world.next_review()


async def _third_claimed(world: World) -> None:
    await _third_open(world)
    await world.claim("eve")


async def _third_resolved(world: World) -> None:
    await _third_claimed(world)
    await world.decide(APPROVE)


async def _held_open(world: World) -> None:
    await world.open(held=True)


async def _held_claimed(world: World) -> None:
    await _held_open(world)
    await world.claim("ada")


async def _held_for_second(world: World) -> None:
    await _held_claimed(world)
    await world.decide(DENY)
    await world.next_review()


async def _held_second_claimed(world: World) -> None:
    await _held_for_second(world)
    await world.claim("bob")


async def _held_third_open(world: World) -> None:
    await _held_second_claimed(world)
    await world.decide(APPROVE)
    await world.next_review()


async def _held_resolved(world: World) -> None:
    await _held_second_claimed(world)
    await world.decide(DENY)


async def _golden_open(world: World) -> None:
    await world.open(0.5, golden=DENY)


async def _golden_claimed(world: World) -> None:
    await _golden_open(world)
    await world.claim("ada")


async def _golden_resolved(world: World) -> None:
    await _golden_claimed(world)
    await world.decide(APPROVE)


async def _erased(world: World) -> None:
    await world.open()
    await _erase(world)


async def _erased_claimed(world: World) -> None:
    await _claimed_unscored(world)
    await _erase(world)


async def _resolved_then_changed(world: World) -> None:
    await _resolved(world)
    await _submit_changed(world)


# Events.
async def _submit_again(world: World) -> None:
    await world.ledger.write(new_decision(world.number, APPROVE, 0.95, user_id=f"user-{world.number}"))


async def _submit_changed(world: World) -> None:
    changed = new_decision(
        world.number, APPROVE, 0.95, user_id=f"user-{world.number}", order_amount=random.uniform(1, 9)
    )
    await world.ledger.write(changed)


async def _claim(world: World) -> None:
    await world.claim("fay")


async def _renew(world: World) -> None:
    await world.ledger.write(Renew(Reviewer(world.by, world.now), LEASE, world.claimed))


async def _release(world: World) -> None:
    await world.release()


async def _decide(world: World) -> None:
    await world.decide(DENY)


async def _decide_twice(world: World) -> None:
    await world.decide(DENY)
    await world.decide(APPROVE)


async def _rescore(world: World) -> None:
    """Rescore as the background job does: score the unscored cases that it finds."""
    for case_id, row in await world.waiting():
        await world.ledger.write(make_rescore(POLICY, case_id, row, PredictResponse(legitimacy_score=0.95)))


async def _rescore_late(world: World) -> None:
    """Write a rescoring whose case was read when it was opened."""
    if world.unscored is not None:
        late = make_rescore(POLICY, world.case_id, world.unscored, PredictResponse(legitimacy_score=0.95))
        await world.ledger.write(late)


async def _golden(world: World) -> None:
    scorer: Any = UncertainScorer()
    golden = GoldenCases(
        world.ledger, scorer, CurrentPolicy(POLICY), [GoldenOrder(message(), DENY)], 1.0, random.Random(world.number)
    )
    assert await golden.open_similar(world.order(), "shop")


async def _erase(world: World) -> None:
    await world.ledger.write(Erase(user_id=f"user-{world.number}"))


async def _expire(world: World) -> None:
    """Let the claim expire, and let another reviewer claim the case."""
    world.now += LEASE + 1
    await world.claim("fay")


EVENTS: dict[str, Callable[[World], Awaitable[None]]] = {
    "submit again": _submit_again, "submit changed": _submit_changed, "claim": _claim, "renew": _renew,
    "release": _release, "decide": _decide, "decide twice": _decide_twice, "rescore": _rescore,
    "rescore late": _rescore_late, "golden": _golden, "erase": _erase, "expire": _expire,
}  # fmt: skip
STATES: dict[str, Callable[[World], Awaitable[None]]] = {
    "open": _open, "open, unscored": _open_unscored, "claimed": _claimed, "claimed, unscored": _claimed_unscored,
    "claim expired": _claim_expired, "released": _released, "resolved": _resolved,
    "closed by rescoring": _closed_by_rescoring, "resolved, then changed": _resolved_then_changed,
    "second open": _second_open, "second claimed": _second_claimed, "second resolved": _second_resolved,
    "third open": _third_open, "third claimed": _third_claimed, "third resolved": _third_resolved,
    "held open": _held_open, "held claimed": _held_claimed, "held for a second person": _held_for_second,
    "held, second claimed": _held_second_claimed, "held, third open": _held_third_open,
    "held, resolved": _held_resolved, "golden open": _golden_open, "golden claimed": _golden_claimed,
    "golden resolved": _golden_resolved, "erased": _erased, "erased, claimed": _erased_claimed,
}  # fmt: skip
