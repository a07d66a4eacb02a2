"""The use case: a transaction in, a kept decision out."""

import contextlib
from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.database.clock import now
from agent_server.decisions.completion import to_proto, with_completed
from agent_server.decisions.counterfactual import smallest, variants
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.decisions.review_budget import ReviewBudget
from agent_server.history_store.attempts import HistoryFeatures, PreviewHistory, RecordAttempt
from agent_server.ledger import Ledger
from agent_server.ledger.recording import DecisionContext, HistoryPosition, RecordedDecision
from agent_server.policies.current import CurrentPolicy
from agent_server.scoring.client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import Overloaded, Unavailable
from runtime.rpc.call import Call, new_id

Opened = Callable[[Transaction, str, tuple[str, ...]], None]
"""Hears of an order that went to a person: it as a whole, who sent it, and which fields memory had filled in."""
NOTHING = HistoryFeatures(HistoryPosition(), {})
ADVICE_SECONDS = 0.5
"""So long a decision waits for what would change it, at most."""


class Decider:
    """Scores, decides, keeps; in this order, and nothing is answered that was not kept."""

    def __init__(
        self, scoring: ScoringClient, current: CurrentPolicy, ledger: Ledger, budget: ReviewBudget | None = None,
        opened: Opened = lambda order, caller, completed: None, clock: Callable[[], Timestamp] = now,
        *, remembers: bool = False,
    ) -> None:  # fmt: skip
        """`opened` hears of each order that went to a person; `remembers` has memory fill in fields."""
        self._scoring, self._current, self._ledger = scoring, current, ledger
        self._budget, self._opened = budget or ReviewBudget(), opened
        self._clock, self._remembers = clock, remembers

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._current.policy

    @property
    def failing_rules(self) -> list[str]:
        """Rules of the policy that could not be evaluated for an order lately."""
        return self._current.failing_rules

    async def preview(self, transaction: Transaction, call: Call) -> pb.ReviewResponse:
        """Decide one transaction as `decide` would now, and record nothing."""
        policy = self.policy
        values = (await self._ledger.write(PreviewHistory(transaction))).values if self._remembers else {}
        answer, _ = await self._answer(policy, with_completed(transaction, values), call)
        answer.completed_fields.extend(to_proto(values))
        return answer

    async def decide(self, transaction: Transaction, call: Call) -> RecordedDecision:
        """Decide one transaction within the caller's time; one that was decided before gets the recorded answer."""
        policy = self.policy  # one for the whole decision, whatever is swapped meanwhile
        recalled = await self._ledger.write(RecordAttempt(transaction)) if self._remembers else NOTHING
        if isinstance(recalled, RecordedDecision):
            return recalled
        sent, transaction = transaction, with_completed(transaction, recalled.values)
        answer, reason = await self._answer(policy, transaction, call)
        answer.decision_id = new_id()
        answer.completed_fields.extend(to_proto(recalled.values))
        opening = NewCase(new_id(), reason, policy.due_seconds, held=policy.needs_two(transaction))
        asked = DecisionContext(call.caller.name, call.request_id, policy.digest, recalled.position)
        kept = await self._ledger.write(RecordDecision(sent, answer, asked, opening))
        if kept.answer.decision == pb.DECISION_REVIEW and not kept.replayed:
            self._budget.record_review()
            self._opened(transaction, call.caller.name, tuple(recalled.values))
        return kept

    async def _answer(
        self, policy: Policy, transaction: Transaction, call: Call
    ) -> tuple[pb.ReviewResponse, cases.CaseReason]:
        """The decision on an order with the fields that history filled in, and why it needs a person where it does."""
        prediction = await self._score(transaction, call, policy)
        at = self._clock()
        min_cost = self._budget.min_expected_cost(policy, transaction, prediction)
        answer, reason = decide(policy, transaction, prediction, at.ToMicroseconds(), min_cost)
        answer.decided_at.CopyFrom(at)
        await self._advise(policy, transaction, answer, call)
        return answer, reason

    async def _advise(self, policy: Policy, transaction: Transaction, answer: pb.ReviewResponse, call: Call) -> None:
        """Add what would have the order approved, where a person has to decide."""
        if answer.decision != pb.DECISION_REVIEW or not answer.HasField("agent_analysis"):
            return
        changed = variants(transaction)
        if not changed:
            return
        with contextlib.suppress(Unavailable, Overloaded):  # the decision stands without it
            orders = [variant.order for variant in changed]
            seconds = ADVICE_SECONDS if call.remaining is None else min(ADVICE_SECONDS, call.remaining)
            predictions = await self._scoring.advise(orders, seconds)
            at = answer.decided_at.ToMicroseconds()
            answer.agent_analysis.counterfactuals.extend(smallest(policy, answer, changed, predictions, at))

    async def _score(self, transaction: Transaction, call: Call, policy: Policy) -> PredictResponse | None:
        """The score; None where the scorer is away and the policy decides without one."""
        try:
            return await self._scoring.predict(transaction, call)
        except Unavailable:
            if policy.unscored == "error":
                raise
            return None
