"""Blind reviews: no call shows a reviewer anything that depends on an earlier verdict on the order."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from agent_server.ledger.queries import latest_record
from agent_server.services.roles import ROLES
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from runtime.access.caller import AUDITOR, REVIEWER
from testing.ledger.history import compare_with_replay
from testing.ledger.templates import new_ledger
from tests.agent.cases.blind_scenes import APPROVE, DENY, NAMES, ORDER, REVIEW, SCENES, World, begin


class _WorldContents:
    """The orders, the cases and the blind review of a world, for requests about them."""

    def __init__(self, orders: list[str], all_cases: list[cases.Case], open_review: str) -> None:
        self.orders, self.cases, self.open_review = orders, all_cases, open_review


def _each_order(kind: type[Message]) -> Callable[[_WorldContents], list[Message]]:
    return lambda known: [kind(transaction_id=name) for name in (*known.orders, "no such order")]


def _decisions(known: _WorldContents) -> list[Message]:
    made: list[Message] = [
        pb.ListDecisionsRequest(page_size=size, newest_first=newest, decision=decision)
        for size in (1, 1000) for newest in (False, True) for decision in (pb.DECISION_UNSPECIFIED, APPROVE, DENY, REVIEW)
    ]  # fmt: skip
    made += [pb.ListDecisionsRequest(page_size=1, page_token=str(number)) for number in range(1, 40)]
    made += [pb.ListDecisionsRequest(transaction_id=name, page_size=1000) for name in known.orders]
    made += [pb.ListDecisionsRequest(user_id=name, page_size=1000) for name in ("customer", "neighbour", "third")]
    return [
        *made,
        pb.ListDecisionsRequest(model_version="m1", page_size=2),
        pb.ListDecisionsRequest(policy_version="x"),
    ]


def _lists(known: _WorldContents) -> list[Message]:
    return [
        cases.ListCasesRequest(status=status, order=order, reviewer=reviewer, page_size=size)  # type: ignore[arg-type]
        for status in cases.CaseStatus.values() for order in cases.CaseOrder.values()
        for reviewer in ("", *NAMES, "nobody") for size in (1, 1000)
    ]  # fmt: skip


def _each_case(kind: type[Message], **fields: Any) -> Callable[[_WorldContents], list[Message]]:
    return lambda known: [kind(case_id=case.case_id, **fields) for case in known.cases]


REQUESTS: dict[str, Callable[[_WorldContents], list[Message]]] = {
    "AgentService/GetDecision": _each_order(pb.GetDecisionRequest),
    "AgentService/ListDecisions": _decisions,
    "AgentService/GetLinks": _each_order(pb.GetLinksRequest),
    "AgentService/VerifyDecision": _each_order(pb.VerifyDecisionRequest),
    "AgentService/GetAgentInfo": lambda known: [pb.GetAgentInfoRequest()],
    "OutcomeService/ListOutcomes": _each_order(outcomes.ListOutcomesRequest),
    "CaseService/ListCases": _lists,
    "CaseService/GetCase": _each_case(cases.GetCaseRequest),
    "CaseService/WatchCases": lambda known: [cases.WatchCasesRequest(cursor=number) for number in (1, 5, 9)],
    # Calls that change something come last, and often enough to be refused too.
    "CaseService/CommentCase": _each_case(cases.CommentCaseRequest, text="looks odd"),
    "CaseService/ClaimNext": lambda known: [cases.ClaimNextRequest()],
    "CaseService/ClaimCase": _each_case(cases.ClaimCaseRequest),
    "CaseService/RenewClaim": _each_case(cases.RenewClaimRequest, token=2),
    "CaseService/ReleaseCase": lambda known: [
        cases.ReleaseCaseRequest(case_id=case.case_id, token=token)
        for case in known.cases
        for token in (1, 2)
        if case.case_id != known.open_review
    ],
    "CaseService/ResolveCase": lambda known: [
        cases.ResolveCaseRequest(case_id=case.case_id, token=token, verdict=DENY)
        for case in sorted(known.cases, key=lambda case: case.case_id == known.open_review)
        for token in (1, 2)
    ],
}
"""A reviewer's requests, by RPC. The verdict on the blind review itself is the very last."""


def test_every_call_of_a_reviewer_is_made() -> None:
    """A new RPC that role `reviewer` may call fails here until both worlds call it."""
    allowed = {path.removeprefix("/vouch.v1.") for path, roles in ROLES.items() if REVIEWER in roles}
    assert REQUESTS.keys() == allowed


async def _collect_answers(world: World, scene: str, first: pb.Decision) -> dict[str, list[bytes]]:
    """Return all answers to the reviewer who has to judge, by call."""
    viewer = await SCENES[scene](world, first)
    (listed,) = await world.ask(
        "/vouch.v1.CaseService/ListCases", cases.ListCasesRequest(page_size=1000), "auditor", AUDITOR
    )
    everything = list(cases.ListCasesResponse.FromString(listed).cases)
    open_review = next(case.case_id for case in everything if case.round > 1 and case.status == cases.CASE_STATUS_OPEN)
    orders = sorted(
        {case.transaction_id for case in everything} | {"later-same", "later-more", "later-card", "early-0"}
    )
    known, answers = _WorldContents(orders, everything, open_review), defaultdict[str, list[bytes]](list)
    for path, requests in REQUESTS.items():
        for request in requests(known):
            answers[f"{path} {request!s}"] += await world.ask(f"/vouch.v1.{path}", request, viewer)
    (done,) = await world.ask(
        "/vouch.v1.CaseService/GetCase", cases.GetCaseRequest(case_id=open_review), "auditor", AUDITOR
    )
    assert cases.GetCaseResponse.FromString(done).case.reviewer == viewer  # it was judged at the very end
    return answers


@pytest.mark.parametrize("scene", list(SCENES))
async def test_a_hidden_verdict_changes_no_byte(scene: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two worlds that differ only in the first verdict, every call of a reviewer returns the same bytes."""
    answers_by_verdict = {}
    for first in (APPROVE, DENY):
        with monkeypatch.context() as patch:
            world = World(new_ledger(tmp_path / str(first)), patch)
            answers_by_verdict[first] = await _collect_answers(world, scene, first)
            record = await world.ledger.read(latest_record("judged"))
            assert record is not None
            world.ledger.close()
    assert answers_by_verdict[APPROVE].keys() == answers_by_verdict[DENY].keys()
    differing = [
        call for call, answers in answers_by_verdict[APPROVE].items() if answers != answers_by_verdict[DENY][call]
    ]
    assert not differing, differing


@pytest.mark.parametrize(("first", "counts"), [(APPROVE, [1, 2]), (DENY, [1, 1])])
async def test_a_verdict_counts_once_its_blind_review_is_done(
    ledger_url: str, first: pb.Decision, counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """History counts a denied order as one until the blind review is done; a replay agrees at every step."""
    world = World(ledger_url, monkeypatch)
    await begin(world)
    await world.order(ORDER)
    await world.judge("ada", first)
    await world.order("between")
    assert all(completed == values for completed, values in compare_with_replay(world.url))
    await world.judge("bob", first)
    await world.order("behind")
    pairs = compare_with_replay(world.url)
    assert all(completed == values for completed, values in pairs)
    assert [completed["total_orders_lifetime"] for completed, _ in pairs[-2:]] == counts
    world.ledger.close()


@pytest.mark.parametrize("third", [False, True])
async def test_a_verdict_on_old_content_never_counts(
    third: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order resubmitted while its verdict was hidden counts with its new content; a replay of the ledger agrees."""
    world = World(new_ledger(tmp_path / "ledger.db"), monkeypatch)
    await begin(world)
    await world.order(ORDER)
    await world.judge("ada", DENY)
    (open_review,) = await world.open_cases(ORDER)
    await world.order(ORDER, order_amount=70.0)
    for case_id in await world.open_cases(ORDER):
        if case_id != open_review:  # the new content became a case too
            await world.judge_case("eve", case_id, APPROVE, drawn=False)
    await world.judge("bob", APPROVE if third else DENY)
    if third:
        await world.judge("eve", DENY)
    await world.order("behind")
    await world.order("far behind")
    pairs = compare_with_replay(world.url)
    assert all(completed == values for completed, values in pairs)
    assert [completed["total_orders_lifetime"] for completed, _ in pairs[-2:]] == [1, 2]
    world.ledger.close()
