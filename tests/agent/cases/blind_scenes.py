"""Two ledgers that differ in a hidden verdict only, and every call that a reviewer can make."""

import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from google.protobuf.message import Message

from agent_server.cases.changes import CaseFeed, newest_change
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.decider import Decider
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.records import timestamp
from agent_server.ledger.schema import MEMORY
from agent_server.ledger.transaction import LedgerTransaction
from agent_server.policies.current import CurrentPolicy
from agent_server.services.agent import AgentService
from agent_server.services.cases import CaseService
from agent_server.services.outcomes import OutcomeService
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.access.caller import AUDITOR, REVIEWER, SHOP, Caller
from runtime.errors import Unavailable, VouchError
from runtime.jobs import Jobs
from runtime.rpc.call import Call
from testing.ledger.decisions import answer_for

APPROVE, DENY, REVIEW = pb.DECISION_APPROVE, pb.DECISION_DENY, pb.DECISION_REVIEW
BEGUN = 1_764_000_000
ORDER = "judged"
NAMES = ("ada", "bob", "eve")


class _Context:
    """The context of a call without deadline and metadata."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> None:
        return None

    async def send_initial_metadata(self, metadata: Any) -> None:
        return None


class _Scorer:
    """A scorer whose score depends on every completed history count; `away` makes it unavailable."""

    def __init__(self) -> None:
        self.away = False

    async def available(self) -> bool:
        return not self.away

    async def predict(self, order: Transaction, call: Any) -> PredictResponse:
        return (await self.predict_many([order]))[0]

    async def predict_many(self, orders: Iterable[Transaction], **_: Any) -> list[PredictResponse]:
        if self.away:
            raise Unavailable("the scorer is unavailable", reason=ErrorReason.ERROR_REASON_SCORER_UNAVAILABLE)
        return [PredictResponse(legitimacy_score=self._score(order), model_version="m1") for order in orders]

    async def predict_candidates(self, orders: Iterable[Transaction], seconds: float) -> list[PredictResponse]:
        return await self.predict_many(orders)

    def _score(self, order: Transaction) -> float:
        seen = (
            order.total_orders_lifetime + 3 * order.orders_last_24h + 7 * order.orders_last_7d + order.avg_order_value
        )
        return 0.41 + (seen % 29) / 100


class World:
    """A ledger, its services, and reviewers; random draws and times are the same in every world."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        random.seed(7)  # ids
        self.now = BEGUN * 1_000_000
        self.url, engine = url, open_engine(url)
        with engine.begin() as connection:
            connection.execute(MEMORY.update().values(since=BEGUN - 86_400 * 60, key=bytes(32)))
        monkeypatch.setattr(os, "urandom", bytes)  # salts
        monkeypatch.setattr(time, "time_ns", lambda: self.tick() * 1000)
        monkeypatch.setattr(LedgerTransaction, "now", property(lambda _: self.tick()))
        self.ledger, self.scorer = Ledger(engine), _Scorer()
        scorer: Any = self.scorer
        current = CurrentPolicy(Policy(0.7, 0.4, minimum_evidence=0))
        decider = Decider(scorer, current, self.ledger, clock=lambda: timestamp(self.tick()), use_history=True)
        self.cases = CaseService(self.ledger, CaseFeed(self.ledger), second_reviews=1.0)
        self.services: dict[str, Any] = {
            "AgentService": AgentService(decider, self.ledger, scorer, Jobs()),
            "CaseService": self.cases,
            "OutcomeService": OutcomeService(self.ledger),
        }

    def tick(self) -> int:
        """Advance the clock by a millisecond and return it, in microseconds."""
        self.now += 1000
        return self.now

    async def ask(self, path: str, request: Message, name: str = "bob", role: str = REVIEWER) -> list[bytes]:
        """Call an RPC as a caller; return its answers, or its error, as bytes."""
        service, method = path.removeprefix("/vouch.v1.").split("/")
        context: Any = _Context()
        call = Call(context, Caller(name, role))
        try:
            answer = getattr(self.services[service], method)(request, call)
            if method != "WatchCases":
                return [(await answer).SerializeToString(deterministic=True)]
            newest, changes = await self.ledger.read(newest_change), []
            async for change in answer:
                changes.append(change.SerializeToString(deterministic=True))
                if change.cursor >= newest:
                    break
            return changes
        except VouchError as error:
            return [f"{error.reason} {error.message} {error.metadata}".encode()]

    async def order(self, transaction_id: str, **fields: Any) -> None:
        """Submit an order that shares fields with others."""
        shared = {"user_id": "customer", "device_id": "device", "card_id": "card", "ip_address": "81.2.69.142"}
        order = Transaction(transaction_id=transaction_id, **({"order_amount": 50.0} | shared | fields))
        order.timestamp.seconds = BEGUN + self.now // 1000 % 1000
        order.account_created_date.seconds = BEGUN - 86_400
        await self.ask("/vouch.v1.AgentService/Review", pb.ReviewRequest(transaction=order), "shop", SHOP)

    async def held(self) -> None:
        """Record an order that needs two reviewers, as the policy would."""
        order = Transaction(transaction_id=ORDER, user_id="customer", order_amount=50.0)
        order.timestamp.seconds = BEGUN
        answer = answer_for(ORDER)
        answer.decided_at.CopyFrom(timestamp(self.tick()))
        answer.decision_id = f"{random.getrandbits(128):032x}"
        opening = NewCase(f"{random.getrandbits(128):032x}", cases.CASE_REASON_UNCERTAIN, held=True)
        await self.ledger.write(RecordDecision(order, answer, DecisionContext("shop", "", "d" * 64), opening))

    async def open_cases(self, transaction_id: str) -> list[str]:
        """Return the ids of the open cases on an order."""
        request = cases.ListCasesRequest(status=cases.CASE_STATUS_OPEN, page_size=100)
        (found,) = await self.ask("/vouch.v1.CaseService/ListCases", request, "auditor", AUDITOR)
        listed = cases.ListCasesResponse.FromString(found).cases
        return [case.case_id for case in listed if case.transaction_id == transaction_id]

    async def judge(self, name: str, verdict: pb.Decision, transaction_id: str = ORDER, *, drawn: bool = True) -> None:
        """Claim the open case on an order and resolve it."""
        (case_id,) = await self.open_cases(transaction_id)
        await self.judge_case(name, case_id, verdict, drawn=drawn)

    async def judge_case(self, name: str, case_id: str, verdict: pb.Decision, *, drawn: bool) -> None:
        """Claim a case and resolve it."""
        (claimed,) = await self.ask("/vouch.v1.CaseService/ClaimCase", cases.ClaimCaseRequest(case_id=case_id), name)
        self.cases._draw_second_review = lambda: drawn  # type: ignore[method-assign]
        token = cases.ClaimCaseResponse.FromString(claimed).token
        details = {"note": "surely stolen" if verdict == DENY else "a regular customer"}
        if verdict == DENY:
            details |= {"abuse_type": "payment_fraud", "reason_code": "stolen_card"}
        request = cases.ResolveCaseRequest(case_id=case_id, token=token, verdict=verdict, **details)
        await self.ask("/vouch.v1.CaseService/ResolveCase", request, name)

    async def submit_later_orders(self) -> None:
        """Submit later orders of the same customer, device, card and address, and the order again."""
        await self.order("later-same")
        await self.order("later-other-user", user_id="neighbour")
        await self.order("later-card", user_id="third", device_id="other", ip_address="81.2.69.143")
        await self.order(ORDER, order_amount=51.0)
        self.scorer.away = True
        await self.order("later-unscored")
        self.scorer.away = False
        await self.order("later-more")
        report = outcomes.ReportOutcomeRequest(
            transaction_id="later-same",
            kind=outcomes.OUTCOME_KIND_CHARGEBACK,
            source="bank",
            occurred_at=timestamp(self.now),
        )
        await self.ask("/vouch.v1.OutcomeService/ReportOutcome", report, "shop", SHOP)


async def begin(world: World) -> None:
    """Submit earlier orders, and let every reviewer work, so that blind reviews are opened."""
    for number, name in enumerate(NAMES):
        await world.order(f"early-{number}", user_id="somebody", device_id="elsewhere", card_id="another")
        for case_id in await world.open_cases(f"early-{number}"):
            assert case_id
            await world.judge(name, APPROVE, f"early-{number}", drawn=False)


async def _drawn(world: World, first: pb.Decision) -> str:
    await begin(world)
    await world.order(ORDER)
    await world.judge("ada", first)
    await world.submit_later_orders()
    return "bob"


async def _held(world: World, first: pb.Decision) -> str:
    await begin(world)
    await world.held()
    await world.judge("ada", first)
    await world.submit_later_orders()
    return "bob"


async def _third(world: World, first: pb.Decision) -> str:
    await begin(world)
    await world.order(ORDER)
    await world.judge("ada", first)
    await world.judge("bob", DENY if first == APPROVE else APPROVE)
    await world.submit_later_orders()
    return "eve"


async def _held_third(world: World, first: pb.Decision) -> str:
    await begin(world)
    await world.held()
    await world.judge("ada", first)
    await world.judge("bob", DENY if first == APPROVE else APPROVE)
    await world.submit_later_orders()
    return "eve"


SCENES: dict[str, Callable[[World, pb.Decision], Awaitable[str]]] = {
    "drawn": _drawn, "held": _held, "third": _third, "held, third": _held_third,
}  # fmt: skip
"""Scenes with an open blind review, given the first verdict. Each returns the reviewer who has to judge."""
