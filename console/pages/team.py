"""Pages of the whole system: overview, policy, model and reviewers."""

import asyncio
import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

import grpc
from starlette.requests import Request
from starlette.responses import Response

from console.pages.responses import call_service, render_page
from console.services import ServiceError
from console.views.formatting import enum_label
from console.views.hours import BAR_SECONDS, bars_of, first_begin
from console.views.plots import bars
from console.views.shapes import heat_of, line_of, shape_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import GetModelInfoRequest, GetModelReportRequest

_MAX_DECISIONS = 4000
"""Limit of decisions that a page reads; it says so if there are more."""
_TENTHS = 10
_PERIODS = {str(hours): hours for hours in BAR_SECONDS}
"""Periods that a page can show, in hours."""


@dataclass
class RecentDecisions:
    """The decisions of the last hours, from the start of the first bar to `now` (seconds since 1970)."""

    hours: int
    now: float
    records: list[pb.DecisionRecord] = field(default_factory=list)
    is_all: bool = True

    @property
    def decisions(self) -> Counter[str]:
        """Return the numbers of orders approved, denied, and sent to review."""
        return Counter(enum_label(pb.Decision.DESCRIPTOR, one.decision) for one in self.records)


async def _read_recent(request: Request) -> RecentDecisions:
    hours = _PERIODS.get(request.query_params.get("hours", ""), 24)
    recent = RecentDecisions(hours, dt.datetime.now(dt.UTC).timestamp())
    message = pb.ListDecisionsRequest(page_size=1000)
    message.since.FromSeconds(first_begin(recent.now, hours))
    while True:
        listed: pb.ListDecisionsResponse = await call_service(request, "agent", "ListDecisions", message)
        recent.records += listed.records
        if not listed.next_page_token:
            return recent
        if len(recent.records) >= _MAX_DECISIONS:
            recent.is_all = False
            return recent
        message.page_token = listed.next_page_token


async def overview(request: Request) -> Response:
    """Show recent decisions over time, scores, open cases, overridden recommendations, and versions."""
    recent = await _read_recent(request)
    waiting = await _list_cases(request, cases.CASE_STATUS_OPEN, cases.CASE_ORDER_PRIORITY)
    resolved = await _list_cases(request, cases.CASE_STATUS_RESOLVED, cases.CASE_ORDER_NEWEST)
    hours = bars_of(
        ((one.decided_at.seconds, enum_label(pb.Decision.DESCRIPTOR, one.decision)) for one in recent.records),
        recent.now, recent.hours,
    )  # fmt: skip
    firsts: dict[str, int] = {}
    for record in recent.records:
        for version in (record.model_version, record.policy_version):
            if version:
                firsts.setdefault(version, record.decided_at.seconds)
    scored = [record.legitimacy_score for record in recent.records if record.HasField("legitimacy_score")]
    tenths = Counter(_tenth(score) for score in scored)
    trained = await _read_trained(request)
    advised = [one for one in resolved.cases if one.recommendation in (1, 2) and one.verdict in (1, 2)]
    return render_page(
        request, "overview.html", recent=recent, decisions=recent.decisions,
        bars=hours, highest_bar=max([1, *(bar.total for bar in hours)]), bar_seconds=BAR_SECONDS[recent.hours],
        scores=bars([f"{tenth / _TENTHS:.1f}" for tenth in range(_TENTHS)], [tenths[tenth] for tenth in range(_TENTHS)]),
        trained=[trained[tenth] / (trained.total() or 1) for tenth in range(_TENTHS)], scored=len(scored),
        highest=max([1, *tenths.values()]),
        waiting=len(waiting.cases), more_wait=bool(waiting.next_page_token),
        late=sum(1 for one in waiting.cases if one.due_at.seconds and one.due_at.seconds < recent.now),
        oldest=min((one.opened_at.seconds for one in waiting.cases), default=0), advised=len(advised),
        overridden=sum(int(one.recommendation) != int(one.verdict) for one in advised),
        firsts=sorted(firsts.items(), key=lambda first: first[1]),
        models=Counter(one.model_version for one in recent.records if one.model_version),
        policies=Counter(one.policy_version for one in recent.records if one.policy_version),
    )  # fmt: skip


async def _list_cases(request: Request, status: cases.CaseStatus, order: cases.CaseOrder) -> cases.ListCasesResponse:
    message = cases.ListCasesRequest(status=status, page_size=1000, order=order)
    listed: cases.ListCasesResponse = await call_service(request, "cases", "ListCases", message)
    return listed


def _tenth(score: float) -> int:
    return min(int(score * _TENTHS), _TENTHS - 1)


async def _read_trained(request: Request) -> Counter[int]:
    """Return the number of the model's evaluation orders by tenth of the score; empty if the model has no report."""
    try:
        report = await call_service(request, "scoring", "GetModelReport", GetModelReportRequest())
    except ServiceError:
        return Counter()
    tenths: Counter[int] = Counter()
    for point in report.calibration:
        tenths[_tenth(point.stated)] += point.rows
    return tenths


async def policy(request: Request) -> Response:
    """Show the current policy: thresholds, matches of rules, and a simulation of other thresholds on recent orders."""
    info: pb.GetAgentInfoResponse = await call_service(request, "agent", "GetAgentInfo", pb.GetAgentInfoRequest())
    recent = await _read_recent(request)
    rules = Counter({(rule.name, int(rule.effect), rule.shadow): 0 for rule in info.rules})
    serving = set(rules)
    for record in recent.records:
        for rule in record.answer.matched_rules:
            rules[rule.name, int(rule.effect), rule.shadow] += 1
    scored = sorted(record.legitimacy_score for record in recent.records if record.HasField("legitimacy_score"))
    hundredths = Counter(min(int(score * 100), 99) for score in scored)
    return render_page(
        request, "policy.html", info=info, recent=recent, decisions=recent.decisions,
        rules=[(*rule, number, rule in serving) for rule, number in rules.items()],
        scored=len(scored), hundredths=" ".join(str(hundredths[place]) for place in range(100)),
    )  # fmt: skip


async def model(request: Request) -> Response:
    """Show the current model: version, dataset, metrics, and effects of its features."""
    try:
        info, report = await asyncio.gather(
            call_service(request, "scoring", "GetModelInfo", GetModelInfoRequest()),
            call_service(request, "scoring", "GetModelReport", GetModelReportRequest()),
        )
    except ServiceError as error:
        return render_page(request, "model.html", info=None, problem=error.sentence, metrics=[])
    costs = [(one.approve_from, one.per_order, one.review_share) for one in report.costs]
    return render_page(
        request, "model.html", info=info, problem="", metrics=sorted(info.metrics.items()), report=report, costs=costs,
        shapes=[shape_of(one) for one in report.effects], heats=[heat_of(one) for one in report.pairs],
        calibration=line_of([(one.stated, one.observed) for one in report.calibration], 0.0, 1.0),
        cost=line_of([(at, price) for at, price, _ in costs], 0.0, max((price for _, price, _ in costs), default=1.0)),
    )  # fmt: skip


async def reviewers(request: Request) -> Response:
    """Show the quality of reviewers, to auditors and admins."""
    try:
        listed = await call_service(request, "cases", "ListReviewers", cases.ListReviewersRequest())
    except ServiceError as error:
        if error.code != grpc.StatusCode.PERMISSION_DENIED:
            raise
        return render_page(request, "reviewers.html", 403, listed=None, problem=error.sentence)
    return render_page(request, "reviewers.html", listed=listed, problem="")
