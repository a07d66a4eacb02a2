"""The use case: decide on a transaction and record the decision."""

import contextlib
from collections.abc import Callable, Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.conditions.policy_rules import Counts
from agent_server.data_files import Enrichment
from agent_server.database.clock import now
from agent_server.decisions.completion import combine, to_proto, with_completed
from agent_server.decisions.counterfactual import candidate_changes, smallest_changes
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.decisions.review_budget import ReviewBudget
from agent_server.decisions.valuation import completed_values, value_order
from agent_server.history_store.attempts import HistoryFeatures, PreviewHistory, RecordAttempt
from agent_server.ledger import Ledger
from agent_server.ledger.recording import DecisionContext, HistoryPosition, RecordedDecision
from agent_server.policies.current import CurrentPolicy
from agent_server.scoring.client import ScoringClient
from enrichment.money import Money
from enrichment.rate_files import read_money
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from history.replay import Value
from runtime.errors import Overloaded, Unavailable
from runtime.rpc.call import Call, new_id

ReviewListener = Callable[[Transaction, str, Mapping[str, str]], None]
"""Called when an order is sent to review, with the completed order, the caller, and the source of each completed field."""
NO_HISTORY = HistoryFeatures(HistoryPosition(), {}, {})
COUNTERFACTUAL_SECONDS = 0.5
"""Time limit for the counterfactuals of one decision."""


class Decider:
    """Scores an order, applies the policy, and records the decision before returning it."""

    def __init__(
        self, scoring: ScoringClient, current: CurrentPolicy, ledger: Ledger, budget: ReviewBudget | None = None,
        on_review: ReviewListener = lambda order, caller, completed: None, clock: Callable[[], Timestamp] = now,
        *, use_history: bool = False, enrichment: Enrichment | None = None, money: Money | None = None,
    ) -> None:  # fmt: skip
        """`on_review` is called for each order that is sent to review. `use_history` completes fields from history,
        `enrichment` from other fields.

        `money` has the base currency and the rates, by default those that ship with Vouch.
        """
        self._scoring, self._current, self._ledger = scoring, current, ledger
        self._budget, self._on_review = budget or ReviewBudget(), on_review
        self._clock, self._use_history, self._enrichment = clock, use_history, enrichment or Enrichment()
        self._money = money or read_money()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._current.policy

    @property
    def failing_rules(self) -> list[str]:
        """Rules of the policy that recently could not be evaluated for some order."""
        return self._current.failing_rules

    async def preview(self, transaction: Transaction, call: Call) -> pb.ReviewResponse:
        """Return the decision that `decide` would make now. Record nothing."""
        policy = self.policy
        value = value_order(transaction, self._money)
        history = NO_HISTORY
        if self._use_history:
            history = await self._ledger.write(PreviewHistory(transaction, value, policy.counts))
        completed = self._complete(transaction, value, history.values).values()
        order = with_completed(transaction, completed)
        answer, _ = await self._score_and_decide(policy, order, call, history.counts)
        if value is not None:
            answer.order_value.CopyFrom(value)
        answer.completed_fields.extend(completed)
        return answer

    async def decide(self, transaction: Transaction, call: Call) -> RecordedDecision:
        """Decide on a transaction within the caller's deadline. A repeated transaction gets its recorded decision."""
        policy = self.policy  # the same policy for the whole decision, even if it is reloaded meanwhile
        value = value_order(transaction, self._money)
        attempt = RecordAttempt(transaction, value, policy.counts)
        history = await self._ledger.write(attempt) if self._use_history else NO_HISTORY
        if isinstance(history, RecordedDecision):
            return history
        completed = self._complete(transaction, value, history.values)
        sent, transaction = transaction, with_completed(transaction, completed.values())
        answer, reason = await self._score_and_decide(policy, transaction, call, history.counts)
        answer.decision_id = new_id()
        if value is not None:
            answer.order_value.CopyFrom(value)
        answer.completed_fields.extend(completed.values())
        new_case = NewCase(new_id(), reason, policy.due_seconds, held=policy.needs_two_reviewers(transaction))
        context = DecisionContext(call.caller.name, call.request_id, policy.digest, history.position)
        recorded = await self._ledger.write(RecordDecision(sent, answer, context, new_case, attempt.digest))
        if recorded.answer.decision == pb.DECISION_REVIEW and not recorded.replayed:
            self._budget.record_review()
            self._on_review(transaction, call.caller.name, {name: one.source for name, one in completed.items()})
        return recorded

    def _complete(
        self, order: Transaction, value: pb.OrderValue | None, remembered: Mapping[str, Value]
    ) -> dict[str, pb.CompletedField]:
        """Return the fields that complete an order: from history, from other fields, and the rate of its day."""
        completed = combine(completed_values(value, remembered), self._enrichment.derive(order))
        if value is not None and value.rate_date:
            completed["exchange_rate"] = to_proto("exchange_rate", value.exchange_rate, "exchange_rates")
        return completed

    async def _score_and_decide(
        self, policy: Policy, transaction: Transaction, call: Call, counts: Counts
    ) -> tuple[pb.ReviewResponse, cases.CaseReason]:
        """Return the decision on a completed order, and the reason for a case if it needs one."""
        prediction = await self._predict(transaction, call, policy)
        at = self._clock()
        min_cost = self._budget.min_expected_cost(policy, transaction, prediction)
        answer, reason = decide(policy, transaction, prediction, at.ToMicroseconds(), min_cost, counts)
        answer.decided_at.CopyFrom(at)
        await self._add_counterfactuals(policy, transaction, answer, call)
        return answer, reason

    async def _add_counterfactuals(
        self, policy: Policy, transaction: Transaction, answer: pb.ReviewResponse, call: Call
    ) -> None:
        """Add to a review the smallest changes that would get the order approved."""
        if answer.decision != pb.DECISION_REVIEW or not answer.HasField("agent_analysis"):
            return
        candidates = candidate_changes(transaction)
        if not candidates:
            return
        with contextlib.suppress(Unavailable, Overloaded):  # the decision is complete without them
            orders = [candidate.order for candidate in candidates]
            seconds = COUNTERFACTUAL_SECONDS if call.remaining is None else min(COUNTERFACTUAL_SECONDS, call.remaining)
            predictions = await self._scoring.predict_candidates(orders, seconds)
            at = answer.decided_at.ToMicroseconds()
            answer.agent_analysis.counterfactuals.extend(smallest_changes(policy, answer, candidates, predictions, at))

    async def _predict(self, transaction: Transaction, call: Call, policy: Policy) -> PredictResponse | None:
        """Return the score; None if the scorer is unavailable and the policy decides without a score."""
        try:
            return await self._scoring.predict(transaction, call)
        except Unavailable:
            if policy.unscored == "error":
                raise
            return None
