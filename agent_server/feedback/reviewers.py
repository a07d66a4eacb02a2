"""How well reviewers judge: golden cases, verdicts that were given twice, time, and what they override."""

import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.queries import FIRST_CASE
from agent_server.cases.tables import CASES
from agent_server.database.pages import Page
from agent_server.feedback.agreement import Interval, chance_of_more, kappa, share
from agent_server.ledger.queries import Query
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases

STANDS_OUT = 0.01
"""How likely it may be, for all reviewers together, that chance alone makes one stand out."""
AT_ONCE = 1000
"""Verdicts that are in memory at once: what is counted of them is small."""
_SECOND = 1_000_000
_VERDICTS = {
    pb.RECOMMENDATION_APPROVE: pb.DECISION_APPROVE,
    pb.RECOMMENDATION_DENY: pb.DECISION_DENY,
}


@dataclass
class _Work:
    """What one reviewer did."""

    verdicts: int = 0
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    recommended: int = 0
    overridden: int = 0
    golden: int = 0
    golden_right: int = 0
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    checked: int = 0
    wrong: int = 0

    def add(self, row: Any) -> None:
        self.verdicts += 1
        if row.claimed_at is not None:
            self.seconds.append((row.resolved_at - row.claimed_at) / _SECOND)
        wanted = _VERDICTS.get(row.recommendation)
        if wanted is not None and row.round == 1:  # in another look nobody is told what is recommended
            self.recommended += 1
            self.overridden += row.verdict != wanted
        if row.golden:
            right = row.verdict == row.golden
            self.golden, self.golden_right = self.golden + 1, self.golden_right + right
            self.check(right=right)

    def check(self, *, right: bool) -> None:
        self.checked += 1
        self.wrong += not right


def reviewers(since: int = 0) -> Query[cases.ListReviewersResponse]:
    """All who gave a verdict since a moment, in microseconds since 1970."""
    chosen = sa.select(
        FIRST_CASE.label("about"), CASES.c.round, CASES.c.reviewer, CASES.c.verdict, CASES.c.recommendation, CASES.c.golden,
        CASES.c.claimed_at, CASES.c.resolved_at,
    ).where(
        CASES.c.status == cases.CASE_STATUS_RESOLVED, CASES.c.resolved_at >= since,
        sa.or_(CASES.c.reviewer != "", CASES.c.claimed_at.is_not(None)),
    ).order_by(FIRST_CASE, CASES.c.round).execution_options(yield_per=AT_ONCE)  # fmt: skip

    return lambda connection: _summarise(_rows(connection, chosen))


def _rows(connection: Connection, query: sa.Select[Any]) -> Iterator[Any]:
    for part in connection.execute(query).partitions():
        yield from part


def _summarise(rows: Iterable[Any]) -> cases.ListReviewersResponse:
    """Count the rows of verdicts, of which those on one order follow one another, by their rounds."""
    work: dict[str, _Work] = defaultdict(_Work)
    pairs = Counter[tuple[int, int]]()
    for _, looks in groupby(rows, key=lambda row: row.about):
        by_round = {}
        for row in looks:
            work[row.reviewer].add(row)
            by_round[row.round] = row
        if 1 in by_round and 2 in by_round:
            first, second = by_round[1], by_round[2]
            pairs[first.verdict, second.verdict] += 1
            _compare(work, first, second, by_round.get(3))
    page = Page[cases.ReviewerQuality]()
    everybody = sorted(work.items(), key=lambda named: (-named[1].verdicts, named[0]))
    checked, wrong = (sum(getattr(one, name) for one in work.values()) for name in ("checked", "wrong"))
    truncated = not all(page.add(_quality(name, one, checked, wrong, len(work))) for name, one in everybody)
    return cases.ListReviewersResponse(
        reviewers=page.messages,
        truncated=truncated,
        paired=pairs.total(),
        kappa=_kappa(kappa(pairs)),
    )


def _compare(work: dict[str, _Work], first: Any, second: Any, third: Any) -> None:
    """Two verdicts on one order: where they disagree, a third one says who was wrong."""
    for mine, other in ((first, second), (second, first)):
        one = work[mine.reviewer]
        one.pairs[mine.verdict, other.verdict] += 1
        if mine.verdict == other.verdict:
            one.check(right=True)
        elif third is not None:
            one.check(right=mine.verdict == third.verdict)


def _quality(name: str, one: _Work, checked: int, wrong: int, people: int) -> cases.ReviewerQuality:
    errors = share(one.wrong, one.checked)
    chance = chance_of_more(one.wrong, one.checked, wrong - one.wrong, checked - one.checked)
    return cases.ReviewerQuality(
        reviewer=name,
        verdicts=one.verdicts,
        median_seconds=statistics.median(one.seconds) if one.seconds else 0.0,
        recommended=one.recommended,
        overridden=one.overridden,
        golden=one.golden,
        golden_right=one.golden_right,
        paired=one.pairs.total(),
        agreed=sum(count for (mine, other), count in one.pairs.items() if mine == other),
        kappa=_kappa(kappa(one.pairs)),
        checked=one.checked,
        wrong=one.wrong,
        error_low=errors.low,
        error_high=errors.high,
        stands_out=people > 1 and chance < STANDS_OUT / people,
    )


def _kappa(interval: Interval | None) -> cases.Kappa | None:
    return None if interval is None else cases.Kappa(kappa=interval.value, low=interval.low, high=interval.high)
