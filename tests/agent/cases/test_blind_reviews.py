"""Second and third reviews: who reviews what and when, which decision applies meanwhile, and what stays hidden."""

import io
import random
from collections.abc import Sequence

import pytest
from rich.console import Console

from agent_server.audit.verify import verify_ledger
from agent_server.cases.blind_view import BLIND_VIEW
from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import NewCase, VerdictDetails
from agent_server.cases.queries import CaseFilter, case_page, whole_case
from agent_server.cases.recording import RecordDecision
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.commands.reviewers import show
from agent_server.feedback.labels import (
    AGREED_CONFIDENCE,
    DISPUTED_CONFIDENCE,
    VERDICT_CONFIDENCE,
    known_labels,
)
from agent_server.feedback.reviewers import reviewer_quality
from agent_server.history_store.links import links_of
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import FULL_VIEW, DecisionFilter, latest_record, record_page
from agent_server.ledger.recording import DecisionContext
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.errors import NotAvailable
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, new_decision

APPROVE, DENY, REVIEW = pb.DECISION_APPROVE, pb.DECISION_DENY, pb.DECISION_REVIEW
LEASE = 600_000_000
PEOPLE = ("ada", "bob", "eve")


class _Call:
    """The part of a call that a verdict reads."""

    request_id = "verdict"


class _Desk:
    """Reviewers on one ledger; each verdict comes a second after the one before."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.now = ledger, 1_000_000

    async def work(self) -> None:
        """Let reviewers resolve a case each, so that a blind review has somebody to go to."""
        await self.ledger.write(new_decision("earlier"))
        for name in ("bob", "eve"):
            await self.judge(name, APPROVE, drawn=False)
            await self.ledger.write(new_decision(f"earlier-{name}"))
        await self.judge("ada", APPROVE, drawn=False)

    async def judge(self, name: str, verdict: pb.Decision, *, drawn: bool = True, note: str = "") -> str | None:
        """Claim the most urgent case and resolve it; return its id, or None if there is none for this reviewer."""
        self.now += 1_000_000
        by = Reviewer(name, self.now)
        claimed = await self.ledger.write(Claim(by, LEASE))
        if claimed is None:
            return None
        decided = Verdict(claimed, verdict, VerdictDetails(note))
        await self.ledger.write(Resolve(by, decided, _Call(), lambda: drawn))  # type: ignore[arg-type]
        return claimed.case_id

    async def decision(self, number: int | str = 1, *, blind: bool = False) -> tuple[pb.Decision, str]:
        """Return the decision on an order, and its maker."""
        record = await self.ledger.read(latest_record(f"t{number}", BLIND_VIEW if blind else FULL_VIEW))
        assert record is not None
        return record.answer.decision, record.caller

    async def seen(self, case_id: str, viewer: str | None) -> cases.GetCaseResponse:
        """Return a case as a reviewer sees it."""
        whole = await self.ledger.read(whole_case(case_id, viewer))
        assert whole is not None
        return whole


def held(number: int) -> RecordDecision:
    """Return a decision on an order that needs two reviewers."""
    opening = NewCase(f"{number:032x}", cases.CASE_REASON_UNCERTAIN, held=True)
    context = DecisionContext("shop", "", "d" * 64)
    return RecordDecision(message(transaction_id=f"t{number}"), answer_for(f"t{number}"), context, opening)


@pytest.mark.parametrize(
    ("verdicts", "decision", "by", "confidence"),
    [
        ([DENY, DENY], DENY, "ada", AGREED_CONFIDENCE),
        ([DENY, APPROVE, DENY], DENY, "ada", DISPUTED_CONFIDENCE),
        ([DENY, APPROVE, APPROVE], APPROVE, "eve", None),
    ],
    ids=["agreed", "first confirmed", "first overruled"],
)
async def test_the_first_verdict_stands_until_a_third_review_differs(
    ledger_url: str, verdicts: Sequence[pb.Decision], decision: pb.Decision, by: str, confidence: float | None
) -> None:
    """The first verdict applies at once; an equal second one changes nothing; else the third review decides."""
    engine = open_engine(ledger_url)
    ledger = Ledger(engine)
    desk = _Desk(ledger)
    await desk.work()
    await ledger.write(new_decision(1))
    for name, verdict in zip(PEOPLE, verdicts, strict=False):
        assert await desk.judge(name, verdict)
        assert await desk.decision() == ((decision, by) if name == "eve" else (DENY, "ada"))
    for name in PEOPLE:
        assert await desk.judge(name, DENY) is None
    known = {label.sequence: label for label in await ledger.read(known_labels())}
    record = await ledger.read(latest_record("t1"))
    assert record is not None
    label = known[record.sequence]
    assert label.is_abuse == (decision == DENY)
    if confidence is not None:
        assert label.confidence == confidence
    assert {each.confidence for each in known.values()} == {VERDICT_CONFIDENCE, label.confidence}
    with engine.connect() as connection:
        assert not verify_ledger(connection, None).broken
    ledger.close()


async def test_nobody_judges_an_order_twice(ledger_url: str) -> None:
    """A reviewer who judged an order is not given a blind review of it and cannot claim it; another reviewer can."""
    ledger = Ledger(open_engine(ledger_url))
    desk = _Desk(ledger)
    await desk.work()
    await ledger.write(new_decision(1))
    await desk.judge("ada", DENY)
    page, _ = await ledger.read(case_page(CaseFilter(status=cases.CASE_STATUS_OPEN), None, 10))
    assert len(page) == 1 and page[0].round == 2
    assert await desk.judge("ada", DENY) is None
    with pytest.raises(NotAvailable, match="judged this order before"):
        await ledger.write(Claim(Reviewer("ada", desk.now), LEASE, page[0].case_id))
    assert await desk.judge("bob", APPROVE)
    assert await desk.judge("ada", DENY) is None and await desk.judge("bob", DENY) is None
    assert await desk.judge("eve", DENY)
    ledger.close()


async def test_no_blind_review_without_another_reviewer(ledger_url: str) -> None:
    """With one reviewer, or with reviewers without names, no blind review is opened, even if it is drawn."""
    ledger = Ledger(open_engine(ledger_url))
    desk = _Desk(ledger)
    for name in ("", "", "ada", "ada"):
        await ledger.write(new_decision(desk.now))
        assert await desk.judge(name, DENY)
    assert (await ledger.read(case_page(CaseFilter(status=cases.CASE_STATUS_OPEN), None, 10)))[0] == []
    ledger.close()


async def test_a_second_review_is_blind(ledger_url: str) -> None:
    """Until the review is done, no call shows others the first verdict, its note and reason, or the recommendation."""
    ledger = Ledger(open_engine(ledger_url))
    desk = _Desk(ledger)
    await desk.work()
    answer = answer_for("t1")
    answer.agent_analysis.recommendation = pb.RECOMMENDATION_DENY
    answer.agent_analysis.summary = "deny it"
    context = DecisionContext("shop", "", "d" * 64)
    opening = NewCase("c" * 32, cases.CASE_REASON_UNCERTAIN)
    await ledger.write(RecordDecision(message(transaction_id="t1"), answer, context, opening))
    first = await desk.judge("ada", DENY, note="surely stolen")
    assert first == "c" * 32
    page, _ = await ledger.read(case_page(CaseFilter(status=cases.CASE_STATUS_OPEN), None, 10, "bob"))
    (second,) = page
    for viewer in ("bob", "eve"):
        for case_id in (first, second.case_id):
            view = str(await desk.seen(case_id, viewer))
            assert not [
                word for word in ("surely stolen", "because of", "deny it", '"ada"', "RECOMMENDATION") if word in view
            ]
            assert "verdict" not in view and "DECISION_DENY" not in view
        by_ada, _ = await ledger.read(case_page(CaseFilter(reviewer="ada"), None, 50, viewer))
        assert by_ada and first not in [case.case_id for case in by_ada]
        hidden = (await desk.seen(second.case_id, viewer)).review
        assert not hidden.HasField("agent_analysis") and not hidden.reasoning
        assert (await desk.seen(first, viewer)).review.decision == REVIEW
    assert (await desk.seen(first, "ada")).case.verdict == DENY
    assert (await desk.seen(first, None)).case.note == "surely stolen"
    fields = set(second.DESCRIPTOR.fields_by_name) - {"recommendation"}
    ordinary, _ = await ledger.read(case_page(CaseFilter(), None, 50, "bob"))
    assert all(not case.round and not case.review_of and not case.golden_verdict for case in ordinary), fields
    assert await desk.decision(blind=True) == (REVIEW, "shop")
    assert await desk.decision() == (DENY, "ada")
    for blind, denied in ((True, 0), (False, 1)):
        links = await ledger.read(links_of("t1", BLIND_VIEW if blind else FULL_VIEW))
        assert links is not None and [one.denied for one in links.accounts] == [denied]
    records, _ = await ledger.read(record_page(DecisionFilter(transaction_id="t1"), 0, 10, BLIND_VIEW))
    assert [record.decision for record in records] == [REVIEW]
    assert not records[0].answer.reasoning and not records[0].answer.HasField("agent_analysis")
    await desk.judge("bob", DENY, note="same")
    assert await desk.decision(blind=True) == (DENY, "ada")
    assert (await desk.seen(first, "eve")).case.note == "surely stolen"
    ledger.close()


@pytest.mark.parametrize(
    ("verdicts", "decision", "by"),
    [([APPROVE, APPROVE], APPROVE, "bob"), ([APPROVE, DENY, DENY], DENY, "eve"), ([DENY, APPROVE, DENY], DENY, "eve")],
)
async def test_four_eyes(ledger_url: str, verdicts: Sequence[pb.Decision], decision: pb.Decision, by: str) -> None:
    """An order that needs two reviewers is decided by two equal verdicts or by the third review, and not before."""
    ledger = Ledger(open_engine(ledger_url))
    desk = _Desk(ledger)
    await ledger.write(held(1))
    for place, (name, verdict) in enumerate(zip(PEOPLE, verdicts, strict=False), 1):
        assert await desk.judge(name, verdict, drawn=False)
        assert await desk.decision() == ((decision, by) if place == len(verdicts) else (REVIEW, "shop"))
    assert await desk.judge("eve", DENY) is None
    labels = await ledger.read(known_labels())
    assert [label.is_abuse for label in labels] == [decision == DENY]
    ledger.close()


async def test_a_resubmitted_order_is_not_decided_by_an_old_review(ledger_url: str) -> None:
    """If other content is submitted during a blind review, the new decision stays, for any verdict on the old one."""
    ledger = Ledger(open_engine(ledger_url))
    desk = _Desk(ledger)
    await desk.work()
    await ledger.write(new_decision(1))
    await desk.judge("ada", DENY)
    await ledger.write(new_decision(1, APPROVE, 0.9, order_amount=1.0))
    await desk.judge("bob", APPROVE)
    await desk.judge("eve", APPROVE)
    assert await desk.decision() == (APPROVE, "shop")
    ledger.close()


async def test_golden_cases_are_no_labels_and_no_orders_of_the_shop(ledger_url: str) -> None:
    """Golden cases are resolved like others, but yield no label; auditors' lists omit them, reviewers' lists do not."""
    engine = open_engine(ledger_url)
    ledger = Ledger(engine)
    desk = _Desk(ledger)
    context = DecisionContext("shop", "", "d" * 64)
    opening = NewCase("c" * 32, cases.CASE_REASON_UNCERTAIN, golden=DENY)
    await ledger.write(RecordDecision(message(transaction_id="t1"), answer_for("t1"), context, opening))
    await ledger.write(new_decision(2, APPROVE, 0.9))
    before = (await desk.seen("c" * 32, "ada")).case
    assert before.golden_verdict == 0 and (await desk.seen("c" * 32, None)).case.golden_verdict == DENY
    await desk.judge("ada", DENY)
    assert await ledger.read(known_labels()) == []
    silent = await ledger.read(known_labels(matured_before=2**60))
    assert len(silent) == 1
    for blind, count in ((False, 0), (True, 2)):
        records, _ = await ledger.read(
            record_page(DecisionFilter(transaction_id="t1"), 0, 10, BLIND_VIEW if blind else FULL_VIEW)
        )
        assert len(records) == count
    (quality,) = (await ledger.read(reviewer_quality())).reviewers
    assert (quality.golden, quality.golden_right, quality.checked, quality.wrong) == (1, 1, 1, 0)
    with engine.connect() as connection:
        verified = verify_ledger(connection, None)
    assert not verified.broken and verified.entries == 3
    ledger.close()


async def test_reviewers_are_measured(ledger_url: str) -> None:
    """Pairs, overrides, time and errors equal hand counts; only a reviewer with far more errors stands out."""
    ledger = Ledger(open_engine(ledger_url))
    desk, chance = _Desk(ledger), random.Random(5)
    context = DecisionContext("shop", "", "d" * 64)
    wrong: dict[str, int] = dict.fromkeys(PEOPLE, 0)
    for number in range(120):
        truth = APPROVE if chance.random() < 0.5 else DENY
        answer = answer_for(f"t{number}")
        answer.agent_analysis.recommendation = pb.RECOMMENDATION_DENY
        opening = NewCase(f"{number:032x}", cases.CASE_REASON_UNCERTAIN, golden=truth)
        order = message(transaction_id=f"t{number}")
        await ledger.write(RecordDecision(order, answer, context, opening))
        name = PEOPLE[number % 3]
        errs = number % (30 if name != "eve" else 2) in (0, 1) and number > 3
        wrong[name] += errs
        await desk.judge(name, truth if not errs else APPROVE + DENY - truth, drawn=False)  # type: ignore[arg-type]
    statistics = {one.reviewer: one for one in (await ledger.read(reviewer_quality())).reviewers}
    assert {name: one.wrong for name, one in statistics.items()} == wrong
    assert {name: one.stands_out for name, one in statistics.items()} == {"ada": False, "bob": False, "eve": True}
    assert all(one.verdicts == one.golden == one.checked == one.recommended == 40 for one in statistics.values())
    assert all(one.error_low < one.wrong / 40 < one.error_high for one in statistics.values() if one.wrong)
    assert all(one.median_seconds == 0.0 for one in statistics.values())
    ledger.close()


@pytest.mark.parametrize("terminal", [False, True])
def test_figures_of_reviewers_are_not_cut(terminal: bool) -> None:
    """At 80 columns every figure is complete: one below the other in a terminal, in long lines elsewhere."""
    rows = [["anna.[red]kowalska@shop.example", *(f"figure {number} of 1,000" for number in range(8))]]
    written = io.StringIO()
    show(Console(file=written, width=80, force_terminal=terminal, color_system=None), rows)
    text = written.getvalue()
    assert all(cell in text for cell in rows[0]) and "…" not in text
    assert not terminal or max(map(len, text.splitlines())) <= 80
