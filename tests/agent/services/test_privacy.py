"""Export and erasure of personal data: all records of a person are exported, and nothing is left after an erasure."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.audit.verify import verify_ledger
from agent_server.cases.claims import Comment, Reviewer
from agent_server.cases.queries import whole_case
from agent_server.commands.privacy import main
from agent_server.feedback.outcomes import RecordOutcome
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import DecisionFilter, latest_record, record_page
from agent_server.ledger.schema import ENTRIES
from generated.vouch.v1.outcome_service_pb2 import OUTCOME_KIND_CHARGEBACK, Outcome
from testing.commands import error_of_command
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger

CANARY = "canary-7f3a"
PERSONAL: dict[str, Any] = {
    "user_id": CANARY, "device_id": f"{CANARY}-device", "email_domain": f"{CANARY}.example", "user_agent": f"{CANARY} agent",
}  # fmt: skip


async def _written(url: str, persons: int = 40) -> Ledger:
    ledger = Ledger(open_engine(url))
    for number in range(persons):
        await ledger.write(new_decision(number, user_id=f"user-{number}"))
        if number % 8 == 0:
            await ledger.write(new_decision(f"{CANARY}-{number}", **PERSONAL))
    return ledger


async def test_a_person_is_exported_and_erased(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """find, export and erase run by command beside an agent: the chain verifies, and the decisions remain."""
    ledger = await _written(ledger_url)
    person = ["--ledger", ledger_url]
    assert main([*person, "find", "--user", CANARY]) == 0
    assert capsys.readouterr().out.startswith("5 decisions with their orders, 5 cases")
    assert main([*person, "export", "--user", CANARY]) == 0
    records = json.loads(capsys.readouterr().out)["records"]
    assert [record["record"]["transaction"]["device_id"] for record in records] == [f"{CANARY}-device"] * 5
    assert all(record["case"]["case_id"] for record in records)
    assert main([*person, "erase", "--user", CANARY]) == 0
    capsys.readouterr()
    assert main([*person, "find", "--user", CANARY]) == 1
    assert main([*person, "erase", "--user", CANARY]) == 1
    assert await ledger.read(latest_record(f"t{CANARY}-8")) is None
    page, _ = await ledger.read(record_page(DecisionFilter(), 0, 100))
    assert len(page) == 45
    gone = [record for record in page if record.erased]
    assert len(gone) == 5
    assert all(record.decision and record.legitimacy_score == 0.5 and not record.transaction_id for record in gone)
    await ledger.write(new_decision("after"))  # and an agent goes on writing
    with ledger._engine.connect() as connection:
        assert verify_ledger(connection, None).entries == 47
    ledger.close()


async def test_comments_and_outcomes_are_exported_too(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An export has the comments on a person's cases and the outcomes of the orders; an erasure removes both."""
    ledger, ada = Ledger(open_engine(ledger_url)), Reviewer("ada", 5)
    recorded = await ledger.write(new_decision(1, **PERSONAL))
    await ledger.write(Comment(ada, recorded.answer.case_id, "called back"))
    outcome = Outcome(transaction_id="t1", kind=OUTCOME_KIND_CHARGEBACK, source="bank")
    await ledger.write(RecordOutcome(outcome, 10, "shop"))
    assert main(["--ledger", ledger_url, "export", "--user", CANARY]) == 0
    (record,) = json.loads(capsys.readouterr().out)["records"]
    assert [event.get("text", "") for event in record["events"]] == ["", "called back"]
    assert [reported["source"] for reported in record["outcomes"]] == ["bank"]
    assert main(["--ledger", ledger_url, "erase", "--user", CANARY]) == 0
    whole = await ledger.read(whole_case(recorded.answer.case_id))
    assert whole is not None and not any(event.text for event in whole.events)
    ledger.close()


async def test_nothing_is_left_in_the_files(tmp_path: Path) -> None:
    """After an erasure no byte of the person is in the database, its log or its free pages; all others' data is."""
    path = tmp_path / "ledger.db"
    ledger = await _written(new_ledger(path), persons=200)
    await ledger.write(new_decision("kept", user_id="somebody", device_id="kept-device"))

    def files() -> bytes:
        return b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))

    assert CANARY.encode() in files()
    assert main(["--ledger", f"sqlite:///{path}", "erase", "--user", CANARY]) == 0
    assert CANARY.encode() not in files()
    assert b"kept-device" in files()
    ledger.close()
    assert CANARY.encode() not in files()


async def test_old_orders_expire(ledger_url: str) -> None:
    """Orders of decisions beyond the age limit are erased for everybody; later ones stay."""
    ledger = await _written(ledger_url, persons=16)
    assert main(["--ledger", ledger_url, "expire", "--older-than", "400d"]) == 1
    assert main(["--ledger", ledger_url, "expire", "--older-than", "0d"]) == 0
    page, _ = await ledger.read(record_page(DecisionFilter(), 0, 100))
    assert all(record.erased for record in page)
    with ledger._engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(ENTRIES)).scalar() == 19
        assert not verify_ledger(connection, None).broken
    ledger.close()


@pytest.mark.parametrize("arguments", [["find"], ["expire"], ["expire", "--older-than", "soon"], ["forget"]])
def test_wrong_options_are_refused(arguments: list[str], tmp_path: Path) -> None:
    """A missing or wrong option exits with 2 and changes nothing."""
    with pytest.raises(SystemExit) as caught:
        main(["--ledger", f"sqlite:///{tmp_path / 'ledger.db'}", *arguments])
    assert caught.value.code == 2
    assert not list(tmp_path.iterdir())


def test_a_missing_ledger_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """A URL without a database is one line of error and exit code 2."""
    assert "VOUCH_AGENT_LEDGER_URL" in error_of_command(
        capsys, "privacy", "--ledger", "sqlite:////no/where/x.db", "find", "--user", "u"
    )
