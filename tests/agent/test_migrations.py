"""Migrations: a ledger of version 0.1 is carried over with all it holds."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from agent_server.audit.verify import end_of, rows_of, verify
from agent_server.cases.queries import WantedCases, case_page, whole_case
from agent_server.database.engine import connect, writing
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.migrate import NEWEST, migrate
from agent_server.ledger.queries import Wanted, record_page
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from testing.decisions import answer_for, keep
from testing.orders import message


def test_the_newest_revision_is_the_programs() -> None:
    """The program knows the newest migration in its folder."""
    config = Config()
    config.set_main_option("script_location", "agent_server.ledger:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST


def _old_ledger(url: str, number: int) -> list[pb.ReviewResponse]:
    """A ledger as version 0.1 left it: its tables, and no number of a revision."""
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


async def test_version_0_1_is_carried_over(ledger_url: str) -> None:
    """Decisions with orders, revisions and cases are there, the chain holds, the ledger goes on; two start at once."""
    answers = await asyncio.to_thread(_old_ledger, ledger_url, 9)
    with ThreadPoolExecutor(2) as pool:
        engines = list(pool.map(open_engine, [ledger_url] * 2))
    engines[1].dispose()
    ledger = Ledger(engines[0])
    page, _ = await ledger.read(record_page(Wanted(), 0, 100))
    assert [record.decision_id for record in page] == [answer.decision_id for answer in answers]
    assert [record.revision for record in page] == [1, 2, 1, 2, 1, 2, 1, 2, 1]
    for place, (record, answer) in enumerate(zip(page, answers, strict=True)):
        answer.revision, answer.replaces_decision_id = record.revision, record.replaces_decision_id
        assert record.answer == answer
        assert record.transaction == message(
            transaction_id=f"t{place // 2}", user_id=f"user-{place % 3}", order_amount=1.0 + place
        )
    opened, _ = await ledger.read(case_page(WantedCases(), None, 100))
    assert [case.case_id for case in opened] == [f"case-{place}" for place in reversed(range(9))]
    whole = await ledger.read(whole_case("case-8"))
    assert whole is not None
    assert (whole.review.decision_id, whole.case.recommendation) == (answers[8].decision_id, pb.RECOMMENDATION_DENY)
    again = keep(4, order_amount=9.0, user_id="user-2")
    assert (await ledger.write(again)).replayed
    assert (await ledger.write(keep("new"))).answer.revision == 1
    with ledger._engine.connect() as connection:
        assert verify(rows_of(connection), end_of(connection), None).entries == 10
        assert not {"decisions", "orders", "old_cases"} & set(sa.inspect(connection).get_table_names())
    ledger.close()


def test_an_empty_0_1_ledger_is_carried_over(tmp_path: Path) -> None:
    """Tables without rows are no obstacle."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    _old_ledger(url, 0)
    open_engine(url).dispose()
