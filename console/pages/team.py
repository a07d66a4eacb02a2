"""What the policy does and how people decide: overview, policy, model, reviewers."""

import asyncio
import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

import grpc
from starlette.requests import Request
from starlette.responses import Response

from console.pages.answering import ask, page
from console.services import Refused
from console.views.hours import BAR_SECONDS, bars_of, first_begin
from console.views.plots import bars
from console.views.shapes import heat_of, line_of, shape_of
from console.views.words import name_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import GetModelInfoRequest, GetModelReportRequest

_MOST = 4000
"""Decisions that a page looks at; it says so where there are more."""
_TENTHS = 10
_SPANS = {str(hours): hours for hours in BAR_SECONDS}
"""Hours that a page may look back over."""


@dataclass
class Recent:
    """The decisions of the last hours, from the beginning of the first bar to `now` (seconds since 1970)."""

    hours: int
    now: float
    records: list[pb.DecisionRecord] = field(default_factory=list)
    is_all: bool = True

    @property
    def decisions(self) -> Counter[str]:
        """How many were approved, denied, and sent to a person."""
        return Counter(name_of(pb.Decision.DESCRIPTOR, one.decision) for one in self.records)


async def _recent(request: Request) -> Recent:
    hours = _SPANS.get(request.query_params.get("hours", ""), 24)
    found = Recent(hours, dt.datetime.now(dt.UTC).timestamp())
    wanted = pb.ListDecisionsRequest(page_size=1000)
    wanted.since.FromSeconds(first_begin(found.now, hours))
    while True:
        listed: pb.ListDecisionsResponse = await ask(request, "agent", "ListDecisions", wanted)
        found.records += listed.records
        if not listed.next_page_token:
            return found
        if len(found.records) >= _MOST:
            found.is_all = False
            return found
        wanted.page_token = listed.next_page_token


async def overview(request: Request) -> Response:
    """Decisions of the last day over time, scores, what waits, what people overrode, and versions."""
    recent = await _recent(request)
    waiting: cases.ListCasesResponse = await ask(
        request, "cases", "ListCases",
        cases.ListCasesRequest(status=cases.CASE_STATUS_OPEN, page_size=1000, order=cases.CASE_ORDER_PRIORITY),
    )  # fmt: skip
    resolved: cases.ListCasesResponse = await ask(
        request, "cases", "ListCases",
        cases.ListCasesRequest(status=cases.CASE_STATUS_RESOLVED, page_size=1000, order=cases.CASE_ORDER_NEWEST),
    )  # fmt: skip
    hours = bars_of(
        ((one.decided_at.seconds, name_of(pb.Decision.DESCRIPTOR, one.decision)) for one in recent.records),
        recent.now, recent.hours,
    )  # fmt: skip
    firsts: dict[str, int] = {}
    for record in recent.records:
        for version in (record.model_version, record.policy_version):
            if version:
                firsts.setdefault(version, record.decided_at.seconds)
    scored = [record.legitimacy_score for record in recent.records if record.HasField("legitimacy_score")]
    tenths = Counter(_tenth(score) for score in scored)
    trained = await _trained(request)
    advised = [one for one in resolved.cases if one.recommendation in (1, 2) and one.verdict in (1, 2)]
    return page(
        request, "overview.html", recent=recent, decisions=recent.decisions,
        bars=hours, most=max([1, *(bar.total for bar in hours)]), bar_seconds=BAR_SECONDS[recent.hours],
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


def _tenth(score: float) -> int:
    return min(int(score * _TENTHS), _TENTHS - 1)


async def _trained(request: Request) -> Counter[int]:
    """How many of the orders that the model was measured on had a score in each tenth; nothing where it does not say."""
    try:
        report = await ask(request, "scoring", "GetModelReport", GetModelReportRequest())
    except Refused:
        return Counter()
    found: Counter[int] = Counter()
    for point in report.calibration:
        found[_tenth(point.stated)] += point.rows
    return found


async def policy(request: Request) -> Response:
    """The policy that serves: thresholds, rules by what they did, and what other thresholds would have made of the day."""
    info: pb.GetAgentInfoResponse = await ask(request, "agent", "GetAgentInfo", pb.GetAgentInfoRequest())
    recent = await _recent(request)
    rules = Counter({(rule.name, int(rule.effect), rule.shadow): 0 for rule in info.rules})
    serving = set(rules)
    for record in recent.records:
        for rule in record.answer.matched_rules:
            rules[rule.name, int(rule.effect), rule.shadow] += 1
    scored = sorted(record.legitimacy_score for record in recent.records if record.HasField("legitimacy_score"))
    hundredths = Counter(min(int(score * 100), 99) for score in scored)
    return page(
        request, "policy.html", info=info, recent=recent, decisions=recent.decisions,
        rules=[(*rule, number, rule in serving) for rule, number in rules.items()],
        scored=len(scored), hundredths=" ".join(str(hundredths[place]) for place in range(100)),
    )  # fmt: skip


async def model(request: Request) -> Response:
    """The model that serves: its version, its data, its figures, and all that it has learned."""
    try:
        info, report = await asyncio.gather(
            ask(request, "scoring", "GetModelInfo", GetModelInfoRequest()),
            ask(request, "scoring", "GetModelReport", GetModelReportRequest()),
        )
    except Refused as error:
        return page(request, "model.html", info=None, problem=error.sentence, metrics=[])
    costs = [(one.approve_from, one.per_order, one.review_share) for one in report.costs]
    return page(
        request, "model.html", info=info, problem="", metrics=sorted(info.metrics.items()), report=report, costs=costs,
        shapes=[shape_of(one) for one in report.effects], heats=[heat_of(one) for one in report.pairs],
        calibration=line_of([(one.stated, one.observed) for one in report.calibration], 0.0, 1.0),
        cost=line_of([(at, price) for at, price, _ in costs], 0.0, max((price for _, price, _ in costs), default=1.0)),
    )  # fmt: skip


async def reviewers(request: Request) -> Response:
    """How well people decide: for auditors and admins."""
    try:
        listed = await ask(request, "cases", "ListReviewers", cases.ListReviewersRequest())
    except Refused as error:
        if error.code != grpc.StatusCode.PERMISSION_DENIED:
            raise
        return page(request, "reviewers.html", 403, listed=None, problem=error.sentence)
    return page(request, "reviewers.html", listed=listed, problem="")
