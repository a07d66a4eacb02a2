"""From a score to a decision. Pure: both limits are inclusive."""

from dataclasses import dataclass

from generated.vouch.v1 import agent_service_pb2 as pb


@dataclass(frozen=True)
class Policy:
    """Thresholds on the calibrated legitimacy score; `agent_decides` lets the agent close clear cases itself."""

    approve_from: float
    deny_up_to: float
    agent_decides: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.deny_up_to < self.approve_from <= 1:
            raise ValueError("thresholds must satisfy 0 <= deny < approve <= 1")

    @property
    def version(self) -> str:
        """A name that tells the whole policy."""
        return f"approve>={self.approve_from:g},deny<={self.deny_up_to:g}" + (",agent" if self.agent_decides else "")

    def decide(self, score: float) -> pb.Decision:
        """Approve, deny, or review between the thresholds."""
        if score >= self.approve_from:
            return pb.DECISION_APPROVE
        if score <= self.deny_up_to:
            return pb.DECISION_DENY
        return pb.DECISION_REVIEW

    def conclude(self, score: float, recommendation: pb.Recommendation) -> tuple[pb.Decision, pb.DecisionMaker]:
        """The decision and who made it, once the agent has looked at what lies between the thresholds."""
        decision = self.decide(score)
        if decision != pb.DECISION_REVIEW:
            return decision, pb.DECISION_MAKER_ML_MODEL
        if self.agent_decides and recommendation == pb.RECOMMENDATION_APPROVE:
            return pb.DECISION_APPROVE, pb.DECISION_MAKER_AGENT
        if self.agent_decides and recommendation == pb.RECOMMENDATION_DENY:
            return pb.DECISION_DENY, pb.DECISION_MAKER_AGENT
        return pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED

    def reasoning(self, score: float, maker: pb.DecisionMaker, analysis: pb.AgentAnalysis | None) -> str:
        """The decision in words."""
        if analysis is None:
            if self.decide(score) == pb.DECISION_APPROVE:
                return f"Legitimacy {score:.3f} is at or above the approval threshold {self.approve_from:g}."
            return f"Legitimacy {score:.3f} is at or below the denial threshold {self.deny_up_to:g}."
        who = "The agent decided" if maker == pb.DECISION_MAKER_AGENT else "A person has to decide"
        between = f"Legitimacy {score:.3f} lies between {self.deny_up_to:g} and {self.approve_from:g}."
        return f"{between} {who}. {analysis.summary}"
