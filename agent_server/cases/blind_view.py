"""The view of decisions for reviewers: without anything that could influence a pending verdict."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from agent_server.cases.lifecycle import UNRESOLVED
from agent_server.cases.tables import CASES
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import Query
from agent_server.ledger.records import record_of
from agent_server.ledger.schema import ENTRIES
from generated.vouch.v1 import agent_service_pb2 as pb

_HIDDEN = sa.select(CASES.c.hidden_entry).where(UNRESOLVED, CASES.c.hidden_entry.is_not(None))
_JUDGED = sa.select(CASES.c.sequence).where(UNRESOLVED, CASES.c.round > 1)


class BlindView:
    """All decisions but those that are hidden until a blind review is resolved, those on golden orders among them.

    A record that is under blind review has no recommendation.
    """

    kinds: Sequence[Kind] = (Kind.DECISION, Kind.GOLDEN)

    def restrict(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """See View."""
        shown = query.where(ENTRIES.c.sequence.not_in(_HIDDEN))
        return shown.add_columns(ENTRIES.c.sequence.in_(_JUDGED).label("judged"))

    def record(self, row: Any) -> pb.DecisionRecord:
        """See View."""
        record = record_of(row)
        if row.judged:
            without_advice(record.answer)
        return record


BLIND_VIEW = BlindView()


def without_advice(answer: pb.ReviewResponse) -> pb.ReviewResponse:
    """Remove from an answer what the agent recommends, and why; return it."""
    answer.reasoning = ""
    answer.ClearField("agent_analysis")
    answer.ml_prediction.ClearField("prediction")
    return answer


def first_hidden() -> Query[int | None]:
    """Return a query for the sequence number of the first hidden decision; it returns None for none."""
    query = sa.select(sa.func.min(CASES.c.hidden_entry)).where(UNRESOLVED)
    return lambda connection: connection.execute(query).scalar()
