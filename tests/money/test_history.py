"""History in several currencies: sums values, and gives the same numbers online and from an export, to the bit."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from agent_server import running as deciding
from agent_server.decisions.completion import from_proto
from agent_server.ledger import open_engine
from agent_server.ledger.schema import ATTEMPTS
from agent_server.tables import METADATA
from enrichment.rate_files import packaged_rates
from enrichment.rates import day_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import amount_units
from stack import history
from testing.in_process import local_services
from testing.inputs.orders import message
from testing.ledger.templates import new_ledger
from tests.money.test_decisions import wait_for_scores

SENT = (
    ("USD", 10.0),
    ("JPY", 3210.0),
    ("XYZ", 77.0),
    ("KWD", 12.345),
    ("VND", 1_077_000.0),
    ("", 33.33),
    ("EUR", 59.99),
)


def order(number: int, currency: str, amount: float) -> Transaction:
    """Return an order of one account that leaves out what history knows."""
    placed: Transaction = message(
        transaction_id=f"t{number}", user_id="u", order_amount=amount, currency=currency or None, account_age_days=1,
        total_orders_lifetime=None, avg_order_value=None, orders_last_24h=None, device_id="d",
    )  # fmt: skip
    placed.timestamp.seconds += number
    return placed


async def test_averages_are_values_online_and_offline(models: Path, tmp_path: Path) -> None:
    """An average is that of the values before, in the order's currency, and equals the export's to the bit.

    An amount without a rate is in no average, and an order without a rate has none.
    """
    engine = open_engine(new_ledger(tmp_path / "ledger.db"))
    with engine.begin() as connection:
        connection.execute(METADATA.tables["memory"].update().values(since=1))
    found: list[float | None] = []
    rates = []
    async with local_services(models, tmp_path, agent={"deny_threshold": 0.0}) as local:
        await wait_for_scores(local)
        for number, (currency, amount) in enumerate(SENT):
            placed = order(number, currency, amount)
            of_day = packaged_rates().find(currency or "USD", "USD", day_of(placed.timestamp.seconds))
            rates.append(of_day.value if of_day else None)
            stub: Any = local.agent.stub(deciding.AGENT)
            preview = await stub.Review(pb.ReviewRequest(transaction=placed, dry_run=True))
            answer = await stub.Review(pb.ReviewRequest(transaction=placed))
            assert from_proto(preview.completed_fields) == from_proto(answer.completed_fields)
            assert preview.order_value == answer.order_value
            average: Any = from_proto(answer.completed_fields).get("avg_order_value")
            found.append(average)
    counted, expected = list[int](), list[float | None]()
    with engine.connect() as connection:
        recorded = connection.execute(sa.select(ATTEMPTS.c.amount, ATTEMPTS.c.counts).order_by(ATTEMPTS.c.number)).all()
    for (_, amount), rate, (units, counts) in zip(SENT, rates, recorded, strict=True):
        assert units == (None if rate is None else amount_units(amount * rate))
        mean = sum(counted) / len(counted) / 10_000 if counted else 0.0
        expected.append(None if rate is None else mean / rate)
        counted += [units] if counts and units is not None else []
    assert found == expected
    assert len(counted) >= 3
    engine.dispose()
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    assert history.main(["export", "--ledger", url, "--output", str(tmp_path / "e.parquet")]) == 0
    assert history.main(["compute", str(tmp_path / "e.parquet"), "--output", str(tmp_path / "c.parquet")]) == 0
    computed = pq.read_table(tmp_path / "c.parquet")
    assert computed.column("avg_order_value").to_pylist() == found
    assert computed.column("order_amount").to_pylist() == [amount for _, amount in SENT]
    assert computed.column("exchange_rate").to_pylist() == [
        rate if currency not in ("", "USD") else None for (currency, _), rate in zip(SENT, rates, strict=True)
    ]
    raw = pq.read_table(tmp_path / "e.parquet").drop_columns(
        ["memory_number", "memory_read", "memory_kept", "memory_since", "denied", "exchange_rate"]
    )
    pq.write_table(pa.concat_tables([raw]), tmp_path / "past.parquet")
    new_ledger(tmp_path / "other.db")
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert history.main(["import", str(tmp_path / "past.parquet"), "--ledger", other]) == 0
    engine = open_engine(other)
    with engine.connect() as connection:
        imported = connection.execute(sa.select(ATTEMPTS.c.amount).order_by(ATTEMPTS.c.at)).scalars().all()
    engine.dispose()
    assert imported == [units for units, _ in recorded]
