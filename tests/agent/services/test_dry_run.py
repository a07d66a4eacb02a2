"""Dry runs: the same decision as a review, and nothing is recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import sqlalchemy as sa

from agent_server.ledger import open_engine
from agent_server.running import running as agent_running
from agent_server.settings import AgentSettings
from agent_server.tables import METADATA
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.serving.running import running as scorer_running
from ml_server.settings import MlSettings
from testing.inputs.orders import message
from testing.ledger.templates import new_ledger
from testing.waiting import free_port

ONCE = ("decision_id", "decided_at", "case_id", "revision")


def order(number: int, **fields: Any) -> Transaction:
    """Return an order of one customer, without the fields that are completed from history."""
    return message(
        transaction_id=f"t{number}", user_id="u", device_id="dev_1", ip_address="81.2.69.142", currency="USD", **fields
    )


@asynccontextmanager
async def agent(folder: Path, models: Path, **settings: Any) -> AsyncIterator[AgentServiceStub]:
    """Run a scorer and an agent whose history began long ago."""
    scorer, address = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    url = new_ledger(folder / "ledger.db")
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(METADATA.tables["memory"].update().values(since=1))
    engine.dispose()
    common: dict[str, Any] = {"metrics_listen": "", "lame_duck_seconds": 0}
    of_scorer = MlSettings.read(listen=scorer, models_dir=models, **common)
    of_agent = AgentSettings.read(listen=address, scorer=scorer, ledger_url=url, **common, **settings)
    async with (
        scorer_running(of_scorer, handle_signals=False),
        agent_running(of_agent, handle_signals=False),
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = AgentServiceStub(channel)
        async with asyncio.timeout(60):
            while not (await stub.GetAgentInfo(pb.GetAgentInfoRequest())).scorer_available:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # no event reports it
        yield stub


def all_rows(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table that decisions write."""
    engine = open_engine(f"sqlite:///{folder / 'ledger.db'}")
    with engine.connect() as connection:
        found = {
            name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for name, table in METADATA.tables.items()
        }
    engine.dispose()
    return found


async def test_a_dry_run_answers_as_a_review_would_and_records_nothing(models: Path, tmp_path: Path) -> None:
    """Approved, denied and reviewed orders get a review's answer but for ids, and no row of any table changes."""
    async with agent(tmp_path, models) as stub:
        for number in range(3):
            await stub.Review(pb.ReviewRequest(transaction=order(number)))
        before, decisions = all_rows(tmp_path), set[int]()
        previewed = []
        sparse = [{"email_domain": "tempmail.net", "phone_verified": False, "new_device": True}, {}]
        for number in range(10, 30):
            fields: dict[str, Any] = sparse[number % 2] | {"order_amount": 20.0 * (number - 9)}
            transaction = order(number, **fields)
            if number % 5 == 0:
                transaction = Transaction(transaction_id=f"t{number}", user_id="u", timestamp=transaction.timestamp)
            previewed.append((transaction, await stub.Review(pb.ReviewRequest(transaction=transaction, dry_run=True))))
        assert all_rows(tmp_path) == before
        for transaction, preview in previewed:
            assert not preview.decision_id and not preview.case_id and not preview.revision
            again = await stub.Review(pb.ReviewRequest(transaction=transaction, dry_run=True))
            real = await stub.Review(pb.ReviewRequest(transaction=transaction))
            decisions.add(preview.decision)
            for one in (again, real):
                for name in ONCE:
                    one.ClearField(name)
            assert again == real, transaction.transaction_id
        assert pb.DECISION_REVIEW in decisions and len(decisions) >= 2
        decided = all_rows(tmp_path)
        dry = await stub.Review(pb.ReviewRequest(transaction=order(0), dry_run=True))
        assert not dry.decision_id, "an order that was decided before is previewed as well"
        assert all_rows(tmp_path) == decided
