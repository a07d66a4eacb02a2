"""Casework: expiring claims, fencing tokens, verdicts as revisions, and the order of the queue."""

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from agent_server.audit.verify import verify_ledger
from agent_server.cases.claims import CaseClaim, Claim, Comment, Release, Renew, Reviewer
from agent_server.cases.lifecycle import VerdictDetails
from agent_server.cases.queries import CaseFilter, case_page, whole_case
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.decisions.urgency import URGENCY_SCALE_SECONDS, expected_loss, urgency
from agent_server.feedback.labels import known_labels, labels_with_orders
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import latest_record
from agent_server.privacy import Erase
from agent_server.services.pages import page_token, parse_place
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.errors import InvalidRequest, NotAvailable, NotFound, VouchError
from testing.ledger.decisions import new_decision

LEASE = 600_000_000
OPENED, CLAIMED, RELEASED, COMMENTED, RESOLVED, CLOSED = (
    cases.CASE_EVENT_KIND_OPENED, cases.CASE_EVENT_KIND_CLAIMED, cases.CASE_EVENT_KIND_RELEASED,
    cases.CASE_EVENT_KIND_COMMENTED, cases.CASE_EVENT_KIND_RESOLVED, cases.CASE_EVENT_KIND_CLOSED,
)  # fmt: skip


class _Call:
    """The part of a call that a verdict reads."""

    request_id = "verdict"


def resolve(by: Reviewer, claimed: CaseClaim, verdict: pb.Decision = pb.DECISION_DENY, **details: str) -> Resolve:
    """Return a verdict, ready to be written."""
    return Resolve(by, Verdict(claimed, verdict, VerdictDetails(**details)), _Call())  # type: ignore[arg-type]


async def open_new_case(ledger: Ledger, number: int | str = 1, **fields: Any) -> str:
    """Open a case on the order of a number; return its id."""
    return (await ledger.write(new_decision(number, **fields))).answer.case_id


async def exported_labels(ledger: Ledger, since: int = 0) -> list[cases.ExportLabelsResponse]:
    """Return all labels."""
    return await ledger.read(labels_with_orders(await ledger.read(known_labels(since))))


async def history(ledger: Ledger, case_id: str) -> list[tuple[cases.CaseEventKind, str]]:
    """Return the events of a case, and who caused them."""
    whole = await ledger.read(whole_case(case_id))
    assert whole is not None and [event.number for event in whole.events] == list(range(1, len(whole.events) + 1))
    return [(event.kind, event.actor) for event in whole.events]


async def test_a_case_from_the_queue_to_the_verdict(ledger_url: str) -> None:
    """A case is claimed, commented and resolved: the chain has a human revision, and the next review returns it."""
    engine = open_engine(ledger_url)
    ledger, ada = Ledger(engine), Reviewer("ada", 1_000)
    case_id = await open_new_case(ledger)
    claimed = await ledger.write(Claim(ada, LEASE, case_id))
    assert claimed == CaseClaim(case_id, 1)
    assert (await ledger.write(Comment(ada, case_id, "called the customer"))).number == 3
    await ledger.write(resolve(ada, claimed, abuse_type="fake_account", reason_code="stolen_card", note="no answer"))
    whole = await ledger.read(whole_case(case_id))
    assert whole is not None
    case = whole.case
    assert (case.status, case.verdict, case.reviewer) == (cases.CASE_STATUS_RESOLVED, pb.DECISION_DENY, "ada")
    assert (case.note, case.abuse_type, case.reason_code) == ("no answer", "fake_account", "stolen_card")
    assert not case.HasField("claimed_until") and case.resolved_at.ToMicroseconds() == 1_000
    assert await history(ledger, case_id) == [(OPENED, ""), (CLAIMED, "ada"), (COMMENTED, "ada"), (RESOLVED, "ada")]
    assert [event.text for event in whole.events] == ["", "", "called the customer", "no answer"]
    record = await ledger.read(latest_record("t1"))
    assert record is not None and (record.revision, record.caller) == (2, "ada")
    assert record.answer.decision_maker == pb.DECISION_MAKER_HUMAN and record.policy_digest == "d" * 64
    assert "stolen_card" in record.answer.reasoning and case.decision_id == record.answer.decision_id
    again = await ledger.write(new_decision(1))
    assert again.replayed and again.answer == record.answer
    labels = await exported_labels(ledger)
    assert [(label.transaction.transaction_id, label.is_abuse, label.abuse_type, label.source) for label in labels] == [
        ("t1", True, "fake_account", "verdict")
    ]
    with engine.connect() as connection:
        assert verify_ledger(connection, None).entries == 2
    ledger.close()


@pytest.mark.parametrize(
    "late",
    [
        lambda by, claimed: Renew(by, LEASE, claimed),
        Release,
        resolve,
    ],
    ids=["renew", "release", "resolve"],
)
async def test_an_old_claim_does_nothing(ledger_url: str, late: Callable[[Reviewer, CaseClaim], Any]) -> None:
    """A claim that expired, was taken over, is another's or on a resolved case is refused and changes nothing."""
    ledger = Ledger(open_engine(ledger_url))
    case_id = await open_new_case(ledger)
    ada, bob = Reviewer("ada", 0), Reviewer("bob", 10)
    first = await ledger.write(Claim(ada, LEASE, case_id))
    assert first is not None
    with pytest.raises(NotAvailable, match="case is claimed by another reviewer"):
        await ledger.write(Claim(bob, LEASE, case_id))
    with pytest.raises(NotAvailable, match="not the latest"):
        await ledger.write(late(bob, first))
    with pytest.raises(NotAvailable, match="expired"):
        await ledger.write(late(Reviewer("ada", LEASE), first))
    second = await ledger.write(Claim(Reviewer("bob", LEASE), LEASE, case_id))
    assert second == CaseClaim(case_id, 2)
    with pytest.raises(NotAvailable, match="not the latest"):
        await ledger.write(late(Reviewer("ada", LEASE + 1), first))
    assert await history(ledger, case_id) == [(OPENED, ""), (CLAIMED, "ada"), (CLAIMED, "bob")]
    await ledger.write(resolve(Reviewer("bob", LEASE + 2), second))
    with pytest.raises(NotAvailable, match="case is resolved"):
        await ledger.write(late(Reviewer("bob", LEASE + 3), second))
    with pytest.raises(NotFound):
        await ledger.write(late(ada, CaseClaim("nothing", 1)))
    ledger.close()


async def test_renewing_and_releasing(ledger_url: str) -> None:
    """A renewal keeps the claim and its token; a released case is available to others at once."""
    ledger = Ledger(open_engine(ledger_url))
    case_id = await open_new_case(ledger)
    claimed = await ledger.write(Claim(Reviewer("ada", 0), LEASE, case_id))
    assert claimed is not None
    for beat in range(1, 4):
        await ledger.write(Renew(Reviewer("ada", beat * (LEASE - 1)), LEASE, claimed))
    await ledger.write(Release(Reviewer("ada", 3 * LEASE), claimed))
    assert await ledger.write(Claim(Reviewer("bob", 3 * LEASE), LEASE)) == CaseClaim(case_id, 2)
    assert await history(ledger, case_id) == [(OPENED, ""), (CLAIMED, "ada"), (RELEASED, "ada"), (CLAIMED, "bob")]
    assert await ledger.write(Claim(Reviewer("eve", 3 * LEASE), LEASE)) is None
    ledger.close()


async def test_reviewers_racing_resolve_each_case_once(ledger_url: str) -> None:
    """Eight reviewers on two agents with expiring claims give every case one verdict and an ordered history."""
    ledgers = [Ledger(open_engine(ledger_url)) for _ in range(2)]
    wanted = {await open_new_case(ledgers[0], number) for number in range(40)}
    clock, done = itertools.count(1), list[str]()

    async def work(name: str, ledger: Ledger, chance: random.Random) -> None:
        while True:
            claimed = await ledger.write(Claim(Reviewer(name, next(clock)), 30, ""))
            if claimed is None:
                if len(done) == len(wanted):
                    return
                await asyncio.sleep(0)
                continue
            for _ in range(chance.choice((0, 0, 5))):  # a slow reviewer, whose claim may expire
                next(clock)
                await asyncio.sleep(0)
            try:
                await ledger.write(resolve(Reviewer(name, next(clock)), claimed))
            except NotAvailable:
                continue
            done.append(claimed.case_id)

    await asyncio.gather(*(work(f"r{number}", ledgers[number % 2], random.Random(number)) for number in range(8)))
    assert sorted(done) == sorted(wanted)
    for case_id in wanted:
        events = await history(ledgers[0], case_id)
        assert [kind for kind, _ in events].count(RESOLVED) == 1 and events[-1][0] == RESOLVED
        assert events[-1][1] == events[-2][1] and events[-2][0] == CLAIMED  # the decider had the latest claim
    for ledger in ledgers:
        ledger.close()


def test_urgency_is_loss_and_waiting() -> None:
    """The order of the queue follows the formula at any time; ten times the loss is worth 14 hours of waiting."""
    hour = 3_600_000_000
    assert urgency(0, 0.0) == 0
    assert urgency(0, 1e6) < urgency(0, 10.0) < urgency(0, 0.0) < urgency(1, 0.0)
    worth = (urgency(0, 999.0) - urgency(0, 9999.0)) / hour
    assert 13 < worth < 15 and URGENCY_SCALE_SECONDS == 6 * 3600
    assert expected_loss(200.0, 0.75) == 50.0
    assert expected_loss(200.0, None) == 200.0
    assert expected_loss(None, 0.1) == 0.0


async def test_the_queue_is_in_order_and_pages_skip_nothing(ledger_url: str) -> None:
    """Pages by priority or newest first, with filters, skip no case while cases are opened and resolved."""
    ledger = Ledger(open_engine(ledger_url))
    amounts = [5.0, 5000.0, 50.0, 0.5, 500.0]
    ids = [await open_new_case(ledger, number, order_amount=amount) for number, amount in enumerate(amounts)]

    async def pages(wanted: CaseFilter) -> list[str]:
        found, place = list[str](), None
        while True:
            page, place = await ledger.read(case_page(wanted, parse_place(page_token(place)), 2))
            found += [case.case_id for case in page]
            if place is None:
                return found

    by_amount = [ids[number] for number in sorted(range(5), key=lambda number: -amounts[number])]
    assert await pages(CaseFilter(by_priority=True)) == by_amount
    assert await pages(CaseFilter()) == ids[::-1]
    claimed = await ledger.write(Claim(Reviewer("ada", 0), LEASE))
    assert claimed is not None and claimed.case_id == by_amount[0]
    assert await pages(CaseFilter(status=cases.CASE_STATUS_OPEN, by_priority=True)) == by_amount[1:]
    assert await pages(CaseFilter(reviewer="ada")) == [claimed.case_id]
    assert await pages(CaseFilter(reason=cases.CASE_REASON_UNSCORED)) == []
    ledger.close()


@pytest.mark.parametrize("token", ["x", "1", "1-", "-", "1-zz", "9" * 19 + "-a", "1-a\n", "²-a"])
def test_foreign_page_tokens_are_refused(token: str) -> None:
    """A page token that we did not issue is an error of the caller that names the field."""
    with pytest.raises(InvalidRequest, match="page_token"):
        parse_place(token)


async def test_erasure_removes_casework(ledger_url: str) -> None:
    """Erasing a person empties notes and comments; the case remains and can no longer be resolved."""
    ledger, ada = Ledger(open_engine(ledger_url)), Reviewer("ada", 0)
    case_id = await open_new_case(ledger, user_id="forget-me")
    claimed = await ledger.write(Claim(ada, LEASE, case_id))
    assert claimed is not None
    await ledger.write(Comment(ada, case_id, "lives in Elm Street"))
    assert (await ledger.write(Erase(user_id="forget-me"))).decisions == 1
    whole = await ledger.read(whole_case(case_id))
    assert whole is not None
    assert not any(event.text for event in whole.events) and not whole.HasField("transaction")
    with pytest.raises(VouchError, match="erased"):
        await ledger.write(resolve(ada, claimed))
    with pytest.raises(VouchError, match="erased"):
        await ledger.write(Comment(ada, case_id, "it was Mr Smith"))
    assert await exported_labels(ledger) == []
    ledger.close()


async def test_an_order_that_is_decided_without_a_reviewer_closes_its_case(ledger_url: str) -> None:
    """New content that is approved closes the open case: its history names no reviewer, and it is no label."""
    ledger = Ledger(open_engine(ledger_url))
    case_id = await open_new_case(ledger)
    await ledger.write(new_decision(1, pb.DECISION_APPROVE, 0.9, order_amount=1.0))
    assert await history(ledger, case_id) == [(OPENED, ""), (CLOSED, "")]
    assert await exported_labels(ledger) == []
    ledger.close()
