"""The agent's analysis of an order: the evidence in each group of features, and a recommendation. Pure.

It reads the model's contributions, so the evidence is what moved the score. It counts how many groups point the same
way, which the score alone does not show.
"""

from collections import defaultdict
from collections.abc import Mapping

from contract.abuse_types import likeliest
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import FeatureGroup, PredictResponse, Reason

GROUPS: Mapping[FeatureGroup, str] = {
    FeatureGroup.FEATURE_GROUP_ACCOUNT: "account",
    FeatureGroup.FEATURE_GROUP_AUTHENTICATION: "authentication",
    FeatureGroup.FEATURE_GROUP_PAYMENT: "payment",
    FeatureGroup.FEATURE_GROUP_BEHAVIOUR: "behaviour",
    FeatureGroup.FEATURE_GROUP_NETWORK: "network",
}
NEUTRAL = 0.25  # log-odds; moves a probability of 0.5 by six percentage points
APPROVE_FROM, DENY_UP_TO = 0.6, 0.5  # between the thresholds of the policy: the side to which the score leans
_MAX_NAMED_REASONS = 3


def analyse(prediction: PredictResponse, missing: str = "") -> pb.AgentAnalysis:
    """Return evidence in all five groups, a recommendation, and a summary that names fields and values.

    `missing` describes the evidence that a decision lacks. If it is not empty, the recommendation is to escalate.
    """
    by_group: dict[FeatureGroup, list[Reason]] = defaultdict(list)
    for reason in prediction.reasons:
        by_group[reason.group].append(reason)
    totals = {total.group: total.contribution for total in prediction.explanation.groups}
    evidence = [_evidence(group, name, totals.get(group, 0.0), by_group[group]) for group, name in GROUPS.items()]
    evidence.sort(key=lambda finding: -abs(finding.contribution))
    recommendation = pb.RECOMMENDATION_ESCALATE if missing else recommend(prediction.legitimacy_score, evidence)
    return pb.AgentAnalysis(
        recommendation=recommendation,
        summary=_summarise(prediction, evidence, recommendation, missing),
        evidence=evidence,
    )


def recommend(score: float, evidence: list[pb.Evidence]) -> pb.Recommendation:
    """Return approve or deny if the score leans that way and most clear groups agree (to deny, two); else escalate."""
    against = sum(finding.contribution < -NEUTRAL for finding in evidence)
    favour = sum(finding.contribution > NEUTRAL for finding in evidence)
    if score >= APPROVE_FROM and favour > against:
        return pb.RECOMMENDATION_APPROVE
    if score <= DENY_UP_TO and against >= 2 and against > favour:
        return pb.RECOMMENDATION_DENY
    return pb.RECOMMENDATION_ESCALATE


def _evidence(group: FeatureGroup, name: str, total: float, reasons: list[Reason]) -> pb.Evidence:
    if not reasons:
        return pb.Evidence(group=group, contribution=total, finding=f"{name}: nothing is known")
    side = "raises risk" if total < -NEUTRAL else "lowers risk" if total > NEUTRAL else "is neutral"
    quotes = "; ".join(_quote(reason) for reason in reasons[:_MAX_NAMED_REASONS])
    return pb.Evidence(
        group=group, contribution=total, finding=f"{name} {side} ({total:+.2f}): {quotes}", reasons=reasons
    )


def _quote(reason: Reason) -> str:
    return f"{reason.sentence} [{reason.field} = {reason.value}]"


def _summarise(
    prediction: PredictResponse, evidence: list[pb.Evidence], recommendation: pb.Recommendation, missing: str
) -> str:
    verdict = {
        pb.RECOMMENDATION_APPROVE: "Recommendation: approve.",
        pb.RECOMMENDATION_DENY: "Recommendation: deny.",
    }.get(
        recommendation,
        f"Recommendation: let a person decide, {'too little is known' if missing else 'the evidence is mixed'}.",
    )
    by_type = prediction.abuse_type_scores
    likely = likeliest(by_type)
    share = getattr(by_type, likely)
    hint = f" If it is abuse, it looks most like {likely.replace('_', ' ')} ({share:.2f})." if share > 0 else ""
    strongest = ". ".join(finding.finding for finding in evidence if abs(finding.contribution) > NEUTRAL)
    return f"{verdict}{hint} {strongest or 'No group of features stands out'}."
