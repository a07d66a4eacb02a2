"""Migrations: a ledger of version 0.1 keeps all its content."""

import ast
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

import agent_server.ledger.migrations
from agent_server.audit.signing import Signing, make_key, read_public, signature_fits
from agent_server.audit.verify import verify_ledger
from agent_server.cases.queries import CaseFilter, case_page, whole_case
from agent_server.database.engine import connect, writing
from agent_server.ledger import Ledger, LedgerError, open_engine, reading
from agent_server.ledger.chain import GENESIS, Kind, entry_hash, signed_head
from agent_server.ledger.migrate import NEWEST, migrate
from agent_server.ledger.queries import DecisionFilter, record_page
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, new_decision


def test_the_newest_revision_is_the_programs() -> None:
    """The program's newest revision is the newest migration in its folder."""
    config = Config()
    config.set_main_option("script_location", "agent_server.ledger:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST


def test_migrations_use_no_code_of_the_program() -> None:
    """Migrations import only what is frozen for them and the wire format, and nothing that may change."""
    folder = Path(agent_server.ledger.migrations.__file__).parent
    files = sorted(folder.rglob("*.py"))
    assert len(files) > len(list((folder / "versions").glob("m*.py"))) >= 7
    frozen = "agent_server.ledger.migrations.frozen"
    ours = {"agent_server", "contract", "enrichment", "history", "runtime", "ml_server", "stack"}
    imported = {
        (file.name, name)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _imported(node)
        if name.partition(".")[0] in ours
    }
    assert {name for _, name in imported} == {frozen}, sorted(imported)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{'.' * node.level}{node.module or ''}"] if isinstance(node, ast.ImportFrom) else []


def _old_ledger(url: str, number: int) -> list[pb.ReviewResponse]:
    """Make a ledger as version 0.1 left it: its tables, and no revision number."""
    engine, answers = connect(url), []
    with writing(engine) as connection, connection.begin():
        migrate(connection, "0001")
        connection.execute(sa.text("DROP TABLE alembic_version"))
        old = sa.MetaData()
        old.reflect(connection)
        for place in range(number):
            order = message(transaction_id=f"t{place // 2}", user_id=f"user-{place % 3}", order_amount=1.0 + place)
            answer = answer_for(order.transaction_id)
            answer.case_id = f"case-{place}"
            case = cases.Case(
                case_id=answer.case_id, transaction_id=order.transaction_id, status=cases.CASE_STATUS_OPEN,
                opened_at=answer.decided_at, legitimacy_score=0.5, recommendation=pb.RECOMMENDATION_DENY,
            )  # fmt: skip
            row = {
                "decision_id": answer.decision_id, "transaction_id": order.transaction_id, "decision": answer.decision,
                "decided_at": answer.decided_at.ToJsonString(), "review": answer.SerializeToString(),
            }  # fmt: skip
            connection.execute(old.tables["decisions"].insert(), row)
            row = {"decision_id": answer.decision_id, "transaction": order.SerializeToString()}
            connection.execute(old.tables["orders"].insert(), row)
            row = {
                "case_id": case.case_id, "decision_id": answer.decision_id, "status": case.status,
                "case": case.SerializeToString(),
            }  # fmt: skip
            connection.execute(old.tables["cases"].insert(), row)
            answers.append(answer)
    engine.dispose()
    return answers


async def test_version_0_1_is_carried_over(empty_url: str) -> None:
    """Decisions, revisions and cases are kept, the chain verifies, and writes go on; two agents may start at once."""
    answers = await asyncio.to_thread(_old_ledger, empty_url, 9)
    with ThreadPoolExecutor(2) as pool:
        engines = list(pool.map(open_engine, [empty_url] * 2))
    engines[1].dispose()
    ledger = Ledger(engines[0])
    page, _ = await ledger.read(record_page(DecisionFilter(), 0, 100))
    assert [record.decision_id for record in page] == [answer.decision_id for answer in answers]
    assert [record.revision for record in page] == [1, 2, 1, 2, 1, 2, 1, 2, 1]
    for place, (record, answer) in enumerate(zip(page, answers, strict=True)):
        answer.revision, answer.replaces_decision_id = record.revision, record.replaces_decision_id
        assert record.answer == answer
        assert record.transaction == message(
            transaction_id=f"t{place // 2}", user_id=f"user-{place % 3}", order_amount=1.0 + place
        )
    opened, _ = await ledger.read(case_page(CaseFilter(), None, 100))
    assert [case.case_id for case in opened] == [f"case-{place}" for place in reversed(range(9))]
    whole = await ledger.read(whole_case("case-8"))
    assert whole is not None
    assert (whole.review.decision_id, whole.case.recommendation) == (answers[8].decision_id, pb.RECOMMENDATION_DENY)
    again = new_decision(4, order_amount=9.0, user_id="user-2")
    assert (await ledger.write(again)).replayed
    assert (await ledger.write(new_decision("new"))).answer.revision == 1
    with ledger._engine.connect() as connection:
        assert verify_ledger(connection, None).entries == 10
        assert not {"decisions", "orders", "old_cases"} & set(sa.inspect(connection).get_table_names())
    ledger.close()


def test_an_empty_0_1_ledger_is_carried_over(tmp_path: Path) -> None:
    """Empty tables are migrated too."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    _old_ledger(url, 0)
    open_engine(url).dispose()


@pytest.mark.parametrize("signed", [False, True])
def test_rows_of_an_older_ledger_are_committed_to(signed: bool, empty_url: str, tmp_path: Path) -> None:
    """Cases, events and outcomes from before 0008 are in the second chain after it.

    Its head is signed if the ledger was, by the same key only; without the key nothing changes.
    """
    for name in ("one.pem", "two.pem"):
        make_key(tmp_path / name)
    key = Signing(tmp_path / "one.pem")
    engine = connect(empty_url)
    with writing(engine) as connection, connection.begin():
        migrate(connection, "0007")
        old = sa.MetaData()
        old.reflect(connection)
        end = entry_hash(GENESIS, 1, int(Kind.ERASURE), "a" * 32, 5, 0, b"", b"")
        entry = {
            "sequence": 1,
            "kind": 2,
            "entry_id": "a" * 32,
            "at": 5,
            "decision": 0,
            "facts": b"",
            "commitment": b"",
        }
        connection.execute(old.tables["entries"].insert(), entry | {"hash": end})
        signature = key.sign(signed_head(1, end)) if signed else b""
        connection.execute(old.tables["head"].update().values(sequence=1, hash=end, signature=signature))
        waiting = [
            {
                "case_id": f"{number:032x}", "opened_by": 1, "sequence": 1, "opened_at": 7, "status": 1, "reason": 1,
                "legitimacy_score": 0.25 if number % 2 else None, "recommendation": 1, "reviewer": "", "verdict": 0,
                "note": "é" * (number % 3), "expected_loss": -0.0 if number % 5 else 1e-7, "held": bool(number % 2),
            }
            for number in range(603)
        ]  # fmt: skip
        connection.execute(old.tables["cases"].insert(), waiting)
        events = [
            {"case_id": f"{n:032x}", "number": 2, "at": 7, "kind": 2, "actor": "ada", "text": ""} for n in range(9)
        ]
        connection.execute(old.tables["case_events"].insert(), events)
        outcome = {"outcome_id": "o", "sequence": 1, "kind": 1, "occurred_at": 1, "source": "", "abuse_type": ""}
        connection.execute(old.tables["outcomes"].insert(), outcome | {"reported_at": 2, "reported_by": "shop"})
    engine.dispose()
    if signed:
        for wrong in (None, Signing(tmp_path / "two.pem")):
            with pytest.raises(LedgerError, match="VOUCH_AGENT_LEDGER_KEY"):
                open_engine(empty_url, wrong)
    open_engine(empty_url, key if signed else None).dispose()
    public = read_public(tmp_path / "one.pem")
    with reading(empty_url) as connection:
        fits = (lambda signature, end: signature_fits(public, signature, end)) if signed else None
        verified = verify_ledger(connection, fits)
    assert (verified.broken, verified.entries, verified.rows) == ("", 1, 603 + 9 + 1)
