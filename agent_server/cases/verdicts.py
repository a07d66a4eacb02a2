"""Verdicts: what a reviewer decides is a revision of the decision, in the same chain as all others."""

from agent_server.cases.claims import Claimed, Reviewer, erased, held
from agent_server.ledger.group import Group
from agent_server.ledger.keeping import Said, append_decision, move_case
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.records import answer_of, order_of, timestamp
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from runtime.rpc.call import Call, new_id

_WORDS = {pb.DECISION_APPROVE: "approved", pb.DECISION_DENY: "denied"}


class Resolve:
    """Resolves a case with a verdict. Needs the claim, once: a second one finds the case resolved."""

    def __init__(self, reviewer: Reviewer, claimed: Claimed, verdict: pb.Decision, said: Said, call: Call) -> None:
        self._reviewer, self._claimed, self._verdict, self._said = reviewer, claimed, verdict, said
        self._request_id = call.request_id

    def __call__(self, group: Group) -> None:
        """Keep the verdict. Raises NotFound, or NotAvailable where the claim is not the caller's or the person was erased."""
        case = held(group, self._claimed, self._reviewer)
        row = group.execute(
            DECIDED.add_columns(PAYLOADS.c.content_digest).where(ENTRIES.c.sequence == case.sequence)
        ).first()
        if row is None:
            raise erased(case)
        order, answer = order_of(row), answer_of(row)
        latest = group.revisions(order.transaction_id)[-1]
        answer.decision, answer.decision_maker = self._verdict, pb.DECISION_MAKER_HUMAN
        code = f" ({self._said.reason_code})" if self._said.reason_code else ""
        answer.reasoning = f"A reviewer {_WORDS[self._verdict]} the order{code}."
        answer.decision_id = new_id()
        answer.decided_at.CopyFrom(timestamp(self._reviewer.now))
        answer.revision, answer.replaces_decision_id = latest.revision + 1, latest.decision_id
        asked = (self._reviewer.name, self._request_id, DecisionFacts.FromString(row.facts).policy_digest)
        sequence = append_decision(group, order, answer, row.content_digest, asked)
        move_case(group, case.case_id, order, answer, sequence, by=self._reviewer.name, said=self._said)
