"""The policy: makes a verdict from an order and its score. Both thresholds are inclusive. Pure."""

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from agent_server.conditions.policy_rules import NO_COUNTS, NO_MATCHES, Counts, Rule, Rules
from agent_server.decisions.evidence import analyse
from agent_server.decisions.review_budget import cheaper_mistake
from agent_server.decisions.urgency import DUE_SECONDS
from contract.fields import FIELDS, POLICY_ONLY, PSEUDONYMS
from enrichment.money import BASE_CURRENCY, amount_in_base, lacks_rate
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import Definition

UNINFORMATIVE = (
    "transaction_id", "timestamp", "user_id", "currency", "exchange_rate", "device_id", "ip_address", "card_bin", "card_id",
    *PSEUDONYMS, *POLICY_ONLY,
)  # fmt: skip
"""Identifiers, and fields that only make sense in combination with others: they are no evidence."""
INFORMATIVE = tuple(name for name in FIELDS if name not in UNINFORMATIVE)
UNSCORED = "The order could not be scored."
Unscored = Literal["review", "deny", "error"]
_MAX_NAMED_FIELDS = 6


@dataclass(frozen=True)
class PolicyVerdict:
    """The policy's decision on an order. `analysis` is set if the score alone did not decide."""

    decision: pb.Decision
    maker: pb.DecisionMaker
    reasoning: str
    analysis: pb.AgentAnalysis | None = None
    reason: cases.CaseReason = cases.CASE_REASON_UNSPECIFIED
    """Why the order needs a review, if it does."""
    matched: tuple[pb.MatchedRule, ...] = ()
    """The rules that matched: the applied rule first, then shadow rules."""
    randomised_probability: float | None = None
    """Probability of a randomised approval, if the order got one."""
    failed: tuple[str, ...] = ()
    """Names of rules that could not be evaluated, and so did not match."""


@dataclass(frozen=True)
class RandomisedApprovals:
    """Approvals of a random share of the orders that the score denies.

    A keyed hash of the id selects them: nobody can predict them without the key, and a repeated order gets the same
    result.
    """

    share: float
    up_to: float
    """Maximum amount in the base currency: orders above it, and of unknown value, are never selected."""
    key: bytes = field(repr=False)

    def selects(self, order: Transaction, base_currency: str = BASE_CURRENCY) -> bool:
        """Return whether the order is approved if the score denies it."""
        amount = amount_in_base(order, base_currency)
        if amount is None or amount > self.up_to:
            return False
        lot = hmac.digest(self.key, order.transaction_id.encode(), "sha256")[:8]
        return int.from_bytes(lot, "big") < self.share * 2**64


@dataclass(frozen=True)
class Policy:
    """Thresholds on the calibrated legitimacy score, the informative fields they need, and rules, which come first.

    `agent_decides` lets the agent decide clear orders between the thresholds. `unscored` is the decision on an order
    without a score; only a rule can approve one. `content` is a digest of the policy file and its lists.
    """

    approve_from: float
    deny_up_to: float
    agent_decides: bool = False
    minimum_evidence: int = 4
    unscored: Unscored = "review"
    rules: Rules | None = None
    content: str = ""
    randomised: RandomisedApprovals | None = None
    randomising_key: bytes = field(default=b"", repr=False)
    """Key for randomised approvals, if the policy file asks for them."""
    due_seconds: float = DUE_SECONDS
    """Time within which a case should be resolved, in seconds."""
    two_reviewers_from: float | None = None
    """Amount in the base currency from which an order needs two reviewers who agree; None for never."""
    reviews_a_day: int = 0
    """Review budget: maximum number of reviews in 24 hours; 0 for no limit."""
    named_reviewers: bool = True
    """Whether reviewers have names, so that two of them can be distinguished."""
    base_currency: str = BASE_CURRENCY
    """Currency in which all amounts are compared."""

    def __post_init__(self) -> None:
        if not 0 <= self.deny_up_to < self.approve_from <= 1:
            raise ValueError("thresholds must satisfy 0 <= deny < approve <= 1")

    @cached_property
    def version(self) -> str:
        """Readable name that contains all settings of the policy."""
        parts = [f"approve>={self.approve_from:g}", f"deny<={self.deny_up_to:g}"]
        parts += [f"evidence>={self.minimum_evidence}"] if self.minimum_evidence else []
        parts += ["agent"] if self.agent_decides else []
        parts += [f"unscored={self.unscored}"] if self.unscored != "review" else []
        parts += [f"randomised={self.randomised.share:g}"] if self.randomised else []
        parts += [f"due={self.due_seconds:g}s"] if self.due_seconds != DUE_SECONDS else []
        parts += [f"two>={self.two_reviewers_from:g}"] if self.two_reviewers_from is not None else []
        parts += [f"reviews={self.reviews_a_day}/d"] if self.reviews_a_day else []
        if self.rules is not None and self.rules.rules:
            parts += [f"rules={len(self.rules.rules)}@{hashlib.sha256(self.content.encode()).hexdigest()[:12]}"]
        return ",".join(parts)

    @cached_property
    def min_approving_score(self) -> float:
        """The lowest score with which an order could be approved."""
        rules = self.rules.rules if self.rules is not None else ()
        if any(rule.effect == pb.RULE_EFFECT_APPROVE and not rule.shadow for rule in rules):
            return 0.0
        return min([self.approve_from, *(rule.thresholds[0] for rule in rules if rule.thresholds and not rule.shadow)])

    @property
    def counts(self) -> tuple[Definition, ...]:
        """The counts of history that the rules read."""
        return self.rules.counts if self.rules is not None else ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole policy, as hex."""
        content = f"{self.version}\n{self.content}" if self.content else self.version
        return hashlib.sha256(content.encode()).hexdigest()

    def needs_two_reviewers(self, transaction: Transaction) -> bool:
        """Return whether two reviewers have to agree on an order. An unknown amount counts as large."""
        amount = amount_in_base(transaction, self.base_currency)
        return self.two_reviewers_from is not None and (amount is None or amount >= self.two_reviewers_from)

    def is_uncertain(self, transaction: Transaction, prediction: PredictResponse) -> bool:
        """Return whether the score lies between the thresholds, and the amount and enough other fields are known."""
        between = self.deny_up_to < prediction.legitimacy_score < self.approve_from
        known = amount_in_base(transaction, self.base_currency) is not None
        return between and known and not self._missing_evidence(transaction)

    def evaluate(
        self, transaction: Transaction, prediction: PredictResponse | None, at: int = 0, min_cost: float = 0.0,
        counts: Counts = NO_COUNTS,
    ) -> PolicyVerdict:  # fmt: skip
        """Return the verdict on an order at time `at`, in microseconds since 1970.

        The first rule that matches decides, or sets the thresholds. Otherwise the score decides; but if too few
        informative fields are known, or the order has an amount of unknown value, it neither approves nor denies,
        whatever the thresholds. Without a prediction,
        `unscored` decides.

        An order that is uncertain by its score is reviewed only if a mistake costs at least `min_cost` on average;
        otherwise the cheaper decision is made. `counts` are the counts of history that rules read, where known.
        """
        matches = self.rules.match(transaction, prediction, at, counts) if self.rules is not None else NO_MATCHES
        rule = matches.applied
        if rule is None:
            verdict = self._verdict_by_score(transaction, prediction, self.approve_from, self.deny_up_to)
            if min_cost > 0 and verdict.reason == cases.CASE_REASON_UNCERTAIN and prediction is not None:
                verdict = self._auto_decide(transaction, prediction, min_cost) or verdict
        elif rule.thresholds is None:
            verdict = _verdict_by_rule(rule, prediction)
        else:
            verdict = self._verdict_by_score(transaction, prediction, *rule.thresholds)
            reasoning = f"{verdict.reasoning} Thresholds by the rule {rule.name}: {rule.reason}"
            verdict = replace(verdict, reasoning=reasoning)
        by_score = verdict.decision == pb.DECISION_DENY and verdict.maker != pb.DECISION_MAKER_POLICY
        if by_score and self.randomised is not None and self.randomised.selects(transaction, self.base_currency):
            reasoning = f"{verdict.reasoning} It is let through at random, to learn what becomes of such orders."
            verdict = PolicyVerdict(
                pb.DECISION_APPROVE, pb.DECISION_MAKER_POLICY, reasoning, randomised_probability=self.randomised.share
            )
        if not matches.matched and not matches.failed:
            return verdict
        return replace(verdict, matched=matches.matched, failed=matches.failed)

    def _auto_decide(
        self, transaction: Transaction, prediction: PredictResponse, min_cost: float
    ) -> PolicyVerdict | None:
        """Return the cheaper decision if a mistake costs less than `min_cost`; None if the order is worth a review."""
        amount = amount_in_base(transaction, self.base_currency) or 0.0
        decision, cost = cheaper_mistake(amount, prediction.legitimacy_score)
        if cost >= min_cost:
            return None
        word = "approved" if decision == pb.DECISION_APPROVE else "denied"
        budget = f"{self.reviews_a_day:,} review{'' if self.reviews_a_day == 1 else 's'} a day"
        reasoning = (
            f"Legitimacy {prediction.legitimacy_score:.3f} lies between {self.deny_up_to:g} and {self.approve_from:g}, but "
            f"little is left of the budget of {budget}. It is reserved for orders where a mistake costs more than {cost:.2f}, "
            f"the expected cost for this one. The order is {word}, which is cheaper."
        )
        return PolicyVerdict(decision, pb.DECISION_MAKER_POLICY, reasoning)

    def _verdict_by_score(
        self, transaction: Transaction, prediction: PredictResponse | None, approve_from: float, deny_up_to: float
    ) -> PolicyVerdict:
        if prediction is None:
            if self.unscored == "deny":
                return PolicyVerdict(
                    pb.DECISION_DENY, pb.DECISION_MAKER_POLICY, f"{UNSCORED} The policy denies such orders."
                )
            reasoning, reason = f"{UNSCORED} A person has to decide.", cases.CASE_REASON_UNSCORED
            return PolicyVerdict(pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED, reasoning, reason=reason)
        score, missing = prediction.legitimacy_score, self._missing_evidence(transaction)
        if score <= deny_up_to:
            where = f"Legitimacy {score:.3f} is at or below the denial threshold {deny_up_to:g}"
            clear = pb.DECISION_DENY
        elif score >= approve_from:
            where = f"Legitimacy {score:.3f} is at or above the approval threshold {approve_from:g}"
            clear = pb.DECISION_APPROVE
        else:
            where = f"Legitimacy {score:.3f} lies between {deny_up_to:g} and {approve_from:g}"
            clear = pb.DECISION_UNSPECIFIED
        if clear and not missing:
            return PolicyVerdict(clear, pb.DECISION_MAKER_ML_MODEL, f"{where}.")
        if missing:
            where += f", {'but' if clear else 'and'} {missing}"
        analysis = analyse(prediction, missing)
        review = PolicyVerdict(
            pb.DECISION_REVIEW,
            pb.DECISION_MAKER_REVIEW_REQUIRED,
            f"{where}. A person has to decide. {analysis.summary}",
            analysis,
            cases.CASE_REASON_LITTLE_KNOWN if missing else cases.CASE_REASON_UNCERTAIN,
        )
        chosen = _AGENT_DECISIONS.get(analysis.recommendation) if self.agent_decides else None
        if chosen is None:
            return review
        reasoning = f"{where}. The agent decided. {analysis.summary}"
        return replace(review, decision=chosen, maker=pb.DECISION_MAKER_AGENT, reasoning=reasoning)

    def _missing_evidence(self, transaction: Transaction) -> str:
        """Describe the evidence that a decision by score lacks; return an empty text if there is enough."""
        parts = []
        missing = [name for name in INFORMATIVE if not transaction.HasField(name)]
        known = len(INFORMATIVE) - len(missing)
        if known < self.minimum_evidence:
            fields = "informative field is" if known == 1 else "informative fields are"
            named = ", ".join(missing[:_MAX_NAMED_FIELDS]) + (", …" if len(missing) > _MAX_NAMED_FIELDS else "")
            needed = f"a decision by score needs {self.minimum_evidence}: missing are {named}"
            parts.append(f"only {known} {fields} known and {needed}")
        if lacks_rate(transaction, self.base_currency):
            rate = f"there is no exchange rate of {transaction.currency} for its day"
            parts.append(f"the order's value in {self.base_currency} is unknown: {rate}")
        return "; ".join(parts)


def _verdict_by_rule(rule: Rule, prediction: PredictResponse | None) -> PolicyVerdict:
    """Return the verdict of a rule, independent of the score."""
    reasoning = f"The rule {rule.name} of the policy {_EFFECT_TEXTS[rule.effect]}: {rule.reason}"
    if rule.effect != pb.RULE_EFFECT_REVIEW:
        return PolicyVerdict(_DECISIONS[rule.effect], pb.DECISION_MAKER_POLICY, reasoning)
    analysis = analyse(prediction) if prediction is not None else None
    summary = f" {analysis.summary}" if analysis else ""
    return PolicyVerdict(
        pb.DECISION_REVIEW, pb.DECISION_MAKER_POLICY, reasoning + summary, analysis, cases.CASE_REASON_RULE
    )


_DECISIONS = {pb.RULE_EFFECT_APPROVE: pb.DECISION_APPROVE, pb.RULE_EFFECT_DENY: pb.DECISION_DENY}
_EFFECT_TEXTS = {
    pb.RULE_EFFECT_APPROVE: "approves the order",
    pb.RULE_EFFECT_DENY: "denies the order",
    pb.RULE_EFFECT_REVIEW: "sends the order to review",
}
_AGENT_DECISIONS = {pb.RECOMMENDATION_APPROVE: pb.DECISION_APPROVE, pb.RECOMMENDATION_DENY: pb.DECISION_DENY}
