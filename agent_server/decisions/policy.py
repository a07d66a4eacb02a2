"""From an order and its score to a verdict. Pure: both limits are inclusive."""

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from agent_server.conditions.policy_rules import NONE, Rule, Rules
from agent_server.decisions.evidence import analyse
from agent_server.decisions.review_budget import cheaper_mistake
from agent_server.decisions.urgency import DUE_SECONDS
from contract.fields import FIELDS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

SAYS_NOTHING = ("transaction_id", "timestamp", "user_id", "currency", "device_id", "ip_address", "card_bin", "card_id")
"""Fields that name the order, or that mean something only beside others: they are no evidence for anybody."""
INFORMATIVE = tuple(name for name in FIELDS if name not in SAYS_NOTHING)
UNSCORED = "The order could not be scored."
Unscored = Literal["review", "deny", "error"]
_MOST_NAMED = 6


@dataclass(frozen=True)
class Verdict:
    """What the policy makes of an order; `analysis` stands where the score alone did not decide."""

    decision: pb.Decision
    maker: pb.DecisionMaker
    reasoning: str
    analysis: pb.AgentAnalysis | None = None
    reason: cases.CaseReason = cases.CASE_REASON_UNSPECIFIED
    """Why a person has to look, where one has to."""
    matched: tuple[pb.MatchedRule, ...] = ()
    """The rules that matched: the applied one first, then those in the shadow."""
    randomised_probability: float | None = None
    """How probable it was that the order would be let through at random, where it was."""
    failed: tuple[str, ...] = ()
    """The rules that could not be evaluated, and so did not match."""


@dataclass(frozen=True)
class Randomised:
    """A share of the orders that the score denies is approved, drawn by a keyed hash of their ids: nobody without the key can
    tell which, and an order that comes again draws the same lot.
    """

    share: float
    up_to: float
    """Orders of a higher amount are never drawn."""
    key: bytes = field(repr=False)

    def draws(self, order: Transaction) -> bool:
        """Whether it is let through, if it is to be denied."""
        if not order.HasField("order_amount") or order.order_amount > self.up_to:
            return False
        lot = hmac.digest(self.key, order.transaction_id.encode(), "sha256")[:8]
        return int.from_bytes(lot, "big") < self.share * 2**64


@dataclass(frozen=True)
class Policy:
    """Thresholds on the calibrated legitimacy score, how many informative fields they need, and rules that go before.

    `agent_decides` lets the agent close clear cases between the thresholds itself. `unscored` says what becomes of an order
    that cannot be scored; only a rule ever approves it. `content` tells all that `version` does not: rules and lists.
    """

    approve_from: float
    deny_up_to: float
    agent_decides: bool = False
    minimum_evidence: int = 4
    unscored: Unscored = "review"
    rules: Rules | None = None
    content: str = ""
    randomised: Randomised | None = None
    randomising_key: bytes = field(default=b"", repr=False)
    """What draws the lots where a file asks for randomised approvals."""
    due_seconds: float = DUE_SECONDS
    """So long a case may wait."""
    two_from: float | None = None
    """From this amount on an order needs two reviewers who agree; None for never."""
    reviews_a_day: int = 0
    """So many orders may go to people in 24 hours; 0 for any number."""
    named_reviewers: bool = True
    """Whether reviewers have names, so that two can be told apart."""

    def __post_init__(self) -> None:
        if not 0 <= self.deny_up_to < self.approve_from <= 1:
            raise ValueError("thresholds must satisfy 0 <= deny < approve <= 1")

    @cached_property
    def version(self) -> str:
        """A name that tells the whole policy."""
        parts = [f"approve>={self.approve_from:g}", f"deny<={self.deny_up_to:g}"]
        parts += [f"evidence>={self.minimum_evidence}"] if self.minimum_evidence else []
        parts += ["agent"] if self.agent_decides else []
        parts += [f"unscored={self.unscored}"] if self.unscored != "review" else []
        parts += [f"randomised={self.randomised.share:g}"] if self.randomised else []
        parts += [f"due={self.due_seconds:g}s"] if self.due_seconds != DUE_SECONDS else []
        parts += [f"two>={self.two_from:g}"] if self.two_from is not None else []
        parts += [f"reviews={self.reviews_a_day}/d"] if self.reviews_a_day else []
        if self.rules is not None and self.rules.rules:
            parts += [f"rules={len(self.rules.rules)}@{hashlib.sha256(self.content.encode()).hexdigest()[:12]}"]
        return ",".join(parts)

    @cached_property
    def min_approving_score(self) -> float:
        """The lowest score that any order could be approved with."""
        rules = self.rules.rules if self.rules is not None else ()
        if any(rule.effect == pb.RULE_EFFECT_APPROVE and not rule.shadow for rule in rules):
            return 0.0
        return min([self.approve_from, *(rule.thresholds[0] for rule in rules if rule.thresholds and not rule.shadow)])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole policy, in hex."""
        content = f"{self.version}\n{self.content}" if self.content else self.version
        return hashlib.sha256(content.encode()).hexdigest()

    def needs_two(self, transaction: Transaction) -> bool:
        """Whether two reviewers have to agree on an order; one of unknown amount may be of any."""
        return self.two_from is not None and (
            not transaction.HasField("order_amount") or transaction.order_amount >= self.two_from
        )

    def is_open(self, transaction: Transaction, prediction: PredictResponse) -> bool:
        """Whether the score lies between the thresholds, at an order of known amount of which enough is known."""
        between = self.deny_up_to < prediction.legitimacy_score < self.approve_from
        return between and transaction.HasField("order_amount") and not self._lack(transaction)

    def evaluate(
        self, transaction: Transaction, prediction: PredictResponse | None, at: int = 0, bar: float = 0.0
    ) -> Verdict:
        """Approve, deny, or review, at a moment in microseconds since 1970.

        Where the score alone would have a person decide, a mistake must cost `bar` on average; else the cheaper side is taken.

        The first rule that matches decides, or sets the thresholds. Else the score does; an order of which too little is known
        is neither approved nor denied by it, whatever the thresholds: silence is no evidence. Without a prediction a person
        decides, or `unscored` says otherwise.
        """
        matched = self.rules.match(transaction, prediction, at) if self.rules is not None else NONE
        rule = matched.applied
        if rule is None:
            verdict = self._by_score(transaction, prediction, self.approve_from, self.deny_up_to)
            if bar > 0 and verdict.reason == cases.CASE_REASON_UNCERTAIN and prediction is not None:
                verdict = self._auto_decide(transaction, prediction, bar) or verdict
        elif rule.thresholds is None:
            verdict = _ruled(rule, prediction)
        else:
            verdict = self._by_score(transaction, prediction, *rule.thresholds)
            said = f"{verdict.reasoning} Thresholds by the rule {rule.name}: {rule.reason}"
            verdict = replace(verdict, reasoning=said)
        by_score = verdict.decision == pb.DECISION_DENY and verdict.maker != pb.DECISION_MAKER_POLICY
        if by_score and self.randomised is not None and self.randomised.draws(transaction):
            said = f"{verdict.reasoning} It is let through at random, to learn what becomes of such orders."
            verdict = Verdict(
                pb.DECISION_APPROVE, pb.DECISION_MAKER_POLICY, said, randomised_probability=self.randomised.share
            )
        if not matched.told and not matched.failed:
            return verdict
        return replace(verdict, matched=matched.told, failed=matched.failed)

    def _auto_decide(self, transaction: Transaction, prediction: PredictResponse, bar: float) -> Verdict | None:
        """The verdict on an order that the budget of reviews has no place for; None where it is worth one."""
        decision, cost = cheaper_mistake(transaction, prediction.legitimacy_score)
        if cost >= bar:
            return None
        word = "approved" if decision == pb.DECISION_APPROVE else "denied"
        budget = f"{self.reviews_a_day:,} review{'' if self.reviews_a_day == 1 else 's'} a day"
        said = (
            f"Legitimacy {prediction.legitimacy_score:.3f} lies between {self.deny_up_to:g} and {self.approve_from:g}, but of "
            f"the budget of {budget} little is left, for orders at which a mistake costs more than the {cost:.2f} that it "
            f"costs here: it is {word}, the cheaper side."
        )
        return Verdict(decision, pb.DECISION_MAKER_POLICY, said)

    def _by_score(
        self, transaction: Transaction, prediction: PredictResponse | None, approve_from: float, deny_up_to: float
    ) -> Verdict:
        if prediction is None:
            if self.unscored == "deny":
                return Verdict(pb.DECISION_DENY, pb.DECISION_MAKER_POLICY, f"{UNSCORED} The policy denies such orders.")
            said, reason = f"{UNSCORED} A person has to decide.", cases.CASE_REASON_UNSCORED
            return Verdict(pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED, said, reason=reason)
        score, lack = prediction.legitimacy_score, self._lack(transaction)
        if score <= deny_up_to:
            where = f"Legitimacy {score:.3f} is at or below the denial threshold {deny_up_to:g}"
            clear = pb.DECISION_DENY
        elif score >= approve_from:
            where = f"Legitimacy {score:.3f} is at or above the approval threshold {approve_from:g}"
            clear = pb.DECISION_APPROVE
        else:
            where = f"Legitimacy {score:.3f} lies between {deny_up_to:g} and {approve_from:g}"
            clear = pb.DECISION_UNSPECIFIED
        if clear and not lack:
            return Verdict(clear, pb.DECISION_MAKER_ML_MODEL, f"{where}.")
        if lack:
            where += f", {'but' if clear else 'and'} {lack}"
        analysis = analyse(prediction, lack)
        review = Verdict(
            pb.DECISION_REVIEW,
            pb.DECISION_MAKER_REVIEW_REQUIRED,
            f"{where}. A person has to decide. {analysis.summary}",
            analysis,
            cases.CASE_REASON_LITTLE_KNOWN if lack else cases.CASE_REASON_UNCERTAIN,
        )
        chosen = _AGENTS.get(analysis.recommendation) if self.agent_decides else None
        if chosen is None:
            return review
        said = f"{where}. The agent decided. {analysis.summary}"
        return replace(review, decision=chosen, maker=pb.DECISION_MAKER_AGENT, reasoning=said)

    def _lack(self, transaction: Transaction) -> str:
        """What is missing for a decision by score, in words; empty where nothing is."""
        missing = [name for name in INFORMATIVE if not transaction.HasField(name)]
        known = len(INFORMATIVE) - len(missing)
        if known >= self.minimum_evidence:
            return ""
        fields = "informative field is" if known == 1 else "informative fields are"
        named = ", ".join(missing[:_MOST_NAMED]) + (", …" if len(missing) > _MOST_NAMED else "")
        return f"only {known} {fields} known and a decision by score needs {self.minimum_evidence}: missing are {named}"


def _ruled(rule: Rule, prediction: PredictResponse | None) -> Verdict:
    """What a rule decides, whatever the score."""
    said = f"The rule {rule.name} of the policy {_WORDS[rule.effect]}: {rule.reason}"
    if rule.effect != pb.RULE_EFFECT_REVIEW:
        return Verdict(_DECISIONS[rule.effect], pb.DECISION_MAKER_POLICY, said)
    analysis = analyse(prediction) if prediction is not None else None
    summary = f" {analysis.summary}" if analysis else ""
    return Verdict(pb.DECISION_REVIEW, pb.DECISION_MAKER_POLICY, said + summary, analysis, cases.CASE_REASON_RULE)


_DECISIONS = {pb.RULE_EFFECT_APPROVE: pb.DECISION_APPROVE, pb.RULE_EFFECT_DENY: pb.DECISION_DENY}
_WORDS = {
    pb.RULE_EFFECT_APPROVE: "approves the order",
    pb.RULE_EFFECT_DENY: "denies the order",
    pb.RULE_EFFECT_REVIEW: "has a person look at the order",
}
_AGENTS = {pb.RECOMMENDATION_APPROVE: pb.DECISION_APPROVE, pb.RECOMMENDATION_DENY: pb.DECISION_DENY}
