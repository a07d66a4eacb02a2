"""Erasure combined with every other operation on a ledger."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from agent_server.audit.verify import read_head, rows_of, verify
from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import VerdictDetails
from agent_server.cases.rescoring import make_rescore, unscored_cases
from agent_server.cases.tables import CASES
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.commands.privacy import main
from agent_server.database.engine import writing
from agent_server.decisions.policy import Policy
from agent_server.feedback.labels import known_labels
from agent_server.history_store.importing import HistoryImport
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.schema import ERASURE_PROGRESS, HEAD
from agent_server.privacy import Erase
from agent_server.privacy.progress import Stage
from agent_server.privacy.scrubbing import Scrubber
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import privacy_service_pb2 as privacy
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from runtime.errors import NotAvailable, NotFound
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision
from testing.ledger.erasure import Shop, call_by, import_past, past_of
from testing.ledger.templates import new_ledger

LEASE = 600_000_000
NOW = 1_790_000_000


class _Call:
    """The part of a call that a verdict reads."""

    request_id = "verdict"


async def test_no_remaining_number_reveals_the_amount(ledger_url: str) -> None:
    """Two persons who differ only in the amounts of their orders are indistinguishable after their erasure."""
    ledger = Ledger(open_engine(ledger_url))
    for user, amount in (("u1", 12.5), ("u2", 98_765.43)):
        for score in (0.5, None):
            made = new_decision(f"{user}-{score}", score=score, user_id=user, order_amount=amount)
            made._answer.decided_at.FromSeconds(NOW)
            await ledger.write(made)
    assert (await ledger.write(Erase(user_id="u1"))).decisions == 2
    assert (await ledger.write(Erase(user_id="u2"))).decisions == 2
    chosen = (
        "opened_at",
        "legitimacy_score",
        "expected_loss",
        "urgency",
        "due_at",
        "recommendation",
        "verdict",
        "status",
    )
    with ledger._engine.connect() as connection:
        rows = connection.execute(sa.select(*(CASES.c[name] for name in chosen)).order_by(CASES.c.opened_by)).all()
    assert rows[:2] == rows[2:]
    ledger.close()


async def test_a_person_who_is_known_by_an_import_only(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A person without decisions, known from an import only, is found, exported and erased by RPC and by command."""
    shop = Shop(ledger_url)
    import_past(shop.engine, past_of("only-past", [NOW, NOW + 5], 5.5))
    admin, who = call_by("admin"), "only-past"
    found = await shop.privacy.FindPerson(privacy.FindPersonRequest(user_id=who), admin)
    assert (found.decisions, found.remembered_orders) == (0, 2)
    exported = [one async for one in shop.privacy.ExportPerson(privacy.ExportPersonRequest(user_id=who), admin)]
    assert [(one.ordered_at.seconds, one.order_amount) for one in exported[0].remembered] == [
        (NOW, 5.5),
        (NOW + 5, 5.5),
    ]
    assert main(["--ledger", ledger_url, "find", "--user", who]) == 0
    assert capsys.readouterr().out.startswith("2 orders in history")
    assert main(["--ledger", ledger_url, "export", "--user", who]) == 0
    assert '"order_amount": 5.5' in capsys.readouterr().out
    erased = await shop.erase(who)
    assert (erased.decisions, erased.remembered_orders) == (0, 2)
    assert main(["--ledger", ledger_url, "find", "--user", who]) == 1
    with pytest.raises(NotFound):
        _ = [one async for one in shop.privacy.ExportPerson(privacy.ExportPersonRequest(user_id=who), admin)]
    await shop.close()


async def test_a_running_import_does_not_restore_an_erased_person(ledger_url: str) -> None:
    """A person erased between two batches of an import is left out of the rest; a later import may add them."""
    shop = Shop(ledger_url)
    importing = HistoryImport(shop.engine)
    importing.add(past_of("gone", [NOW], 5.5))
    await shop.erase("gone")
    importing.add(past_of("gone", [NOW + 1, NOW + 2], 5.5))
    importing.add(past_of("stays", [NOW + 3], 5.5))
    importing.finish()
    assert (importing.erased, importing.new) == (2, 2)
    found = privacy.FindPersonRequest(user_id="gone")
    assert (await shop.privacy.FindPerson(found, call_by("admin"))).remembered_orders == 0
    assert (
        await shop.work.progress()
    ).stage is not Stage.DONE  # events that named the person meanwhile are removed too
    import_past(shop.engine, past_of("gone", [NOW + 4], 5.5))
    assert (await shop.privacy.FindPerson(found, call_by("admin"))).remembered_orders == 1
    await shop.close()


async def test_cases_of_an_erased_person_leave_the_queue(ledger_url: str) -> None:
    """Open, claimed or in blind review: no reviewer gets such a case, and a verdict on it is refused."""
    ledger = Ledger(open_engine(ledger_url))
    ada, bob = Reviewer("ada", 1_000_000), Reviewer("bob", 2_000_000)
    await ledger.write(new_decision("worked", user_id="else"))
    first = await ledger.write(Claim(bob, LEASE))
    assert first is not None
    await ledger.write(Resolve(bob, Verdict(first, pb.DECISION_DENY, VerdictDetails()), _Call()))  # type: ignore[arg-type]
    looked = await ledger.write(new_decision("looked", user_id="gone"))
    claimed = await ledger.write(Claim(ada, LEASE, looked.answer.case_id))
    assert claimed is not None
    verdict = Verdict(claimed, pb.DECISION_DENY, VerdictDetails("words"))
    await ledger.write(Resolve(ada, verdict, _Call(), lambda: True))  # type: ignore[arg-type]
    taken = await ledger.write(new_decision("taken", user_id="gone"))
    held = await ledger.write(Claim(bob, LEASE, taken.answer.case_id))
    await ledger.write(new_decision("open", user_id="gone"))
    assert held is not None
    assert (await ledger.write(Erase(user_id="gone"))).cases == 4
    assert await ledger.write(Claim(bob, LEASE)) is None
    with pytest.raises(NotAvailable, match="erased"):
        await ledger.write(Resolve(bob, Verdict(held, pb.DECISION_DENY, VerdictDetails()), _Call()))  # type: ignore[arg-type]
    with ledger._engine.connect() as connection:
        rows = connection.execute(sa.select(CASES).where(CASES.c.verdict == 0)).all()
        assert [(row.status, row.reviewer, row.note) for row in rows] == [(cases.CASE_STATUS_RESOLVED, "", "")] * 3
        assert not verify(rows_of(connection), read_head(connection), None).broken
    assert [label.source for label in await ledger.read(known_labels())] == ["verdict"]
    ledger.close()


async def test_a_late_score_does_not_restore_an_erased_person(ledger_url: str) -> None:
    """A score whose order is erased before it is written is dropped, and nothing is appended."""
    ledger = Ledger(open_engine(ledger_url))
    await ledger.write(new_decision(1, score=None, user_id="gone"))
    ((case_id, row),) = await ledger.read(unscored_cases(10))
    late = make_rescore(Policy(0.7, 0.4), case_id, row, PredictResponse(legitimacy_score=0.9, model_version="m1"))
    await ledger.write(Erase(user_id="gone"))
    assert await ledger.write(late) is False
    again = await ledger.write(new_decision(1, score=None, user_id="gone"))  # submitted again: a new order
    assert not again.replayed and again.answer.revision == 1
    assert await ledger.write(late) is False
    with ledger._engine.connect() as connection:
        assert connection.execute(sa.select(HEAD.c.sequence)).scalar_one() == 3
    ledger.close()


async def test_the_same_order_sent_again_is_a_new_one(ledger_url: str) -> None:
    """After an erasure an order of the same id is decided anew, counts as the first, and can be erased again."""
    shop = Shop(ledger_url)
    order = message(transaction_id="again", user_id="gone", account_age_days=0)
    first = await shop.review(order)
    assert (await shop.review(order)).decision_id == first.decision_id
    await shop.erase("gone")
    second = await shop.review(order)
    assert (second.decision_id != first.decision_id, second.revision) == (True, 1)
    assert (await shop.erase("gone")).decisions == 1
    assert (await shop.erase("gone")).decisions == 0
    await shop.close()


def test_an_interrupted_command_reports_and_a_later_one_finishes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """erase, status and scrub exit with 3 and a message while a reader blocks them, and with 0 afterwards."""
    url = new_ledger(tmp_path / "ledger.db")
    engine = open_engine(url)
    with writing(engine) as connection, connection.begin():
        connection.execute(ERASURE_PROGRESS.update().values(requested=1, since=NOW * 1_000_000))
    with engine.connect() as reading:
        reading.execute(sa.select(HEAD)).one()
        with writing(engine) as connection, connection.begin():
            connection.execute(ERASURE_PROGRESS.update().values(requested=2))
        for action in (["scrub"], ["status"], ["erase", "--user", "nobody"]):
            assert main(["--ledger", url, *action]) == 3, action
            assert "a reader keeps the write-ahead log" in capsys.readouterr().err
    assert main(["--ledger", url, "scrub"]) == 0
    assert main(["--ledger", url, "status"]) == 0
    assert main(["--ledger", url, "erase", "--user", "nobody"]) == 1
    assert Scrubber(engine).progress().stage is Stage.DONE
    engine.dispose()
