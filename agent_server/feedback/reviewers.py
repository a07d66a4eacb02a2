"""Quality of reviewers: golden cases, agreement in blind reviews, time per case, and overridden recommendations."""

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
from agent_server.feedback.agreement import Interval, fisher_p_value, kappa, wilson_interval
from agent_server.ledger.queries import Query
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases

OUTLIER_PROBABILITY = 0.01
"""Maximum probability, over all reviewers, that a reviewer is flagged by chance."""
ROWS_PER_FETCH = 1000
"""Number of verdicts in memory at a time; only small counts are kept of each."""
_SECOND = 1_000_000
_VERDICTS = {
    pb.RECOMMENDATION_APPROVE: pb.DECISION_APPROVE,
    pb.RECOMMENDATION_DENY: pb.DECISION_DENY,
}


@dataclass
class _ReviewerStats:
    """Counts of one reviewer's verdicts."""

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
        recommended_verdict = _VERDICTS.get(row.recommendation)
        if recommended_verdict is not None and row.round == 1:  # a blind review shows no recommendation
            self.recommended += 1
            self.overridden += row.verdict != recommended_verdict
        if row.golden:
            right = row.verdict == row.golden
            self.golden, self.golden_right = self.golden + 1, self.golden_right + right
            self.check(right=right)

    def check(self, *, right: bool) -> None:
        self.checked += 1
        self.wrong += not right


def reviewer_quality(since: int = 0) -> Query[cases.ListReviewersResponse]:
    """Query the quality of all reviewers with a verdict since a time, in microseconds since 1970."""
    chosen = sa.select(
        FIRST_CASE.label("about"), CASES.c.round, CASES.c.reviewer, CASES.c.verdict, CASES.c.recommendation, CASES.c.golden,
        CASES.c.claimed_at, CASES.c.resolved_at,
    ).where(
        CASES.c.status == cases.CASE_STATUS_RESOLVED, CASES.c.resolved_at >= since,
        sa.or_(CASES.c.reviewer != "", CASES.c.claimed_at.is_not(None)),
    ).order_by(FIRST_CASE, CASES.c.round).execution_options(yield_per=ROWS_PER_FETCH)  # fmt: skip

    return lambda connection: _summarise(_rows(connection, chosen))


def _rows(connection: Connection, query: sa.Select[Any]) -> Iterator[Any]:
    for part in connection.execute(query).partitions():
        yield from part


def _summarise(rows: Iterable[Any]) -> cases.ListReviewersResponse:
    """Summarise the rows of verdicts, which are sorted by order and round."""
    stats: dict[str, _ReviewerStats] = defaultdict(_ReviewerStats)
    pairs = Counter[tuple[int, int]]()
    for _, group in groupby(rows, key=lambda row: row.about):
        by_round = {}
        for row in group:
            stats[row.reviewer].add(row)
            by_round[row.round] = row
        if 1 in by_round and 2 in by_round:
            first, second = by_round[1], by_round[2]
            pairs[first.verdict, second.verdict] += 1
            _compare(stats, first, second, by_round.get(3))
    page = Page[cases.ReviewerQuality]()
    ranked = sorted(stats.items(), key=lambda named: (-named[1].verdicts, named[0]))
    checked, wrong = (sum(getattr(stat, name) for stat in stats.values()) for name in ("checked", "wrong"))
    truncated = not all(page.add(_to_proto(name, stat, checked, wrong, len(stats))) for name, stat in ranked)
    return cases.ListReviewersResponse(
        reviewers=page.messages,
        truncated=truncated,
        paired=pairs.total(),
        kappa=_kappa(kappa(pairs)),
    )


def _compare(stats: dict[str, _ReviewerStats], first: Any, second: Any, third: Any) -> None:
    """Count two verdicts on one order. If they disagree, the third verdict decides who was wrong."""
    for mine, other in ((first, second), (second, first)):
        stat = stats[mine.reviewer]
        stat.pairs[mine.verdict, other.verdict] += 1
        if mine.verdict == other.verdict:
            stat.check(right=True)
        elif third is not None:
            stat.check(right=mine.verdict == third.verdict)


def _to_proto(name: str, stat: _ReviewerStats, checked: int, wrong: int, people: int) -> cases.ReviewerQuality:
    errors = wilson_interval(stat.wrong, stat.checked)
    chance = fisher_p_value(stat.wrong, stat.checked, wrong - stat.wrong, checked - stat.checked)
    return cases.ReviewerQuality(
        reviewer=name,
        verdicts=stat.verdicts,
        median_seconds=statistics.median(stat.seconds) if stat.seconds else 0.0,
        recommended=stat.recommended,
        overridden=stat.overridden,
        golden=stat.golden,
        golden_right=stat.golden_right,
        paired=stat.pairs.total(),
        agreed=sum(count for (mine, other), count in stat.pairs.items() if mine == other),
        kappa=_kappa(kappa(stat.pairs)),
        checked=stat.checked,
        wrong=stat.wrong,
        error_low=errors.low,
        error_high=errors.high,
        stands_out=people > 1 and chance < OUTLIER_PROBABILITY / people,
    )


def _kappa(interval: Interval | None) -> cases.Kappa | None:
    return None if interval is None else cases.Kappa(kappa=interval.value, low=interval.low, high=interval.high)
