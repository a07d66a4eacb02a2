"""Tables: the commands complete fields as the agent does, for rows in any order, and keep existing values."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.schema import MEMORY
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, DEFINITIONS, NAMES, amount_units, is_known
from history.replay import Attempt, Replay, texts_of
from history.table import with_history
from testing.ledger.templates import new_ledger
from testing.servers.processes import call
from tests.agent.history_store.test_history import APPROVE, DENY, review

BEGUN = dt.datetime(2025, 1, 1)


def orders(count: int, seed: int = 1) -> pa.Table:
    """Return orders without history over 60 days, unordered, with some cells empty."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        user = f"u{int(chance.paretovariate(0.6)) % 40}"
        at = BEGUN + dt.timedelta(seconds=chance.randrange(60 * DAY))
        opened = BEGUN + dt.timedelta(days=int(user[1:]) % 30 - 5)
        rows.append(
            {
                "transaction_id": f"t{number}", "timestamp": at, "user_id": user,
                "device_id": f"d{chance.randrange(12)}" if chance.random() < 0.8 else None,
                "ip_address": f"1.2.{chance.randrange(5)}.{chance.choice(['7', '7', 'xxx'])}",
                "card_id": chance.choice([None, "a", "b", "c"]),
                "order_amount": round(chance.uniform(1, 400), 2) if chance.random() < 0.9 else None,
                "account_created_date": opened if chance.random() < 0.7 else None,
                "account_age_days": float(max((at - opened).days, 0)) if chance.random() < 0.5 else None,
            }
        )  # fmt: skip
    types = {
        "timestamp": pa.timestamp("s"),
        "account_created_date": pa.timestamp("s"),
        "account_age_days": pa.float64(),
    }
    names = list(rows[0])
    return pa.table({name: pa.array([row[name] for row in rows], types.get(name)) for name in names})


def by_hand(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Return the values of a replay in the order of time, by order."""
    replay, found = Replay(), {}
    rows = sorted(table.to_pylist(), key=lambda row: row["timestamp"])  # stable: the file's order at equal times
    since = int(rows[0]["timestamp"].replace(tzinfo=dt.UTC).timestamp())
    for number, row in enumerate(rows, 1):
        at, opened = int(row["timestamp"].replace(tzinfo=dt.UTC).timestamp()), None
        if row["account_created_date"] is not None:
            opened = int(row["account_created_date"].replace(tzinfo=dt.UTC).timestamp())
        elif row["account_age_days"] is not None:
            opened = at - int(row["account_age_days"]) * DAY
        texts = texts_of(row)
        replay.add(Attempt(number, at, texts, amount_units(row["order_amount"])))
        values = replay.values(number)
        known = {one.name: values[one.name] for one in DEFINITIONS if is_known(one, at, since, opened, texts)}
        found[row["transaction_id"]] = known
    return found


def history_columns(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Return the values in a table's columns."""
    return {
        row["transaction_id"]: {name: row[name] for name in NAMES if row[name] is not None} for row in table.to_pylist()
    }


def test_a_table_is_filled_as_a_replay_says() -> None:
    """Every value of a shuffled table equals the replay to the bit, and is absent where history is unknown."""
    table = orders(800)
    found = history_columns(with_history(table))
    assert found == by_hand(table)
    assert sum(len(values) for values in found.values()) > 3000


def test_existing_values_stay() -> None:
    """Values of the file are kept, cell by cell, in the file's own type."""
    table = orders(50)
    given = pa.array([7.0 if place % 2 else None for place in range(50)])
    completed = with_history(table.append_column("payment_attempts_24h", given))
    column = completed.column("payment_attempts_24h")
    wanted = with_history(table).column("payment_attempts_24h").to_pylist()
    assert column.type == pa.float64()
    assert column.to_pylist() == [7.0 if place % 2 else wanted[place] for place in range(50)]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_command_writes_every_column(tmp_path: Path, suffix: str) -> None:
    """Other columns are carried along as text; the output reads back as computed."""
    table = orders(300).append_column("shop_note", pa.array([f"n{place}" for place in range(300)]))
    source, output = tmp_path / "orders.parquet", tmp_path / f"filled.{suffix}"
    pq.write_table(table, source)
    done = call("history", "compute", str(source), "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "300 orders" in done.stdout and "payment_attempts_24h" in done.stdout
    assert history_columns(read_table(output, required=("transaction_id",))) == history_columns(with_history(table))
    if suffix == "parquet":
        assert pq.read_table(output).column("shop_note").to_pylist() == table.column("shop_note").to_pylist()


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    """A missing file, one without the needed columns, or another kind of output is an error; nothing is written."""
    (tmp_path / "bad.csv").write_text("user_id,amount\nu,1\n")
    pq.write_table(orders(5), tmp_path / "good.parquet")
    for name, output in (("nothing.csv", "o.csv"), ("bad.csv", "o.csv"), ("good.parquet", "o.xlsx")):
        done = call("history", "compute", str(tmp_path / name), "--output", str(tmp_path / output))
        assert done.returncode == 2 and done.stderr.startswith("vouch history: "), done.stderr
        assert not (tmp_path / output).exists()


async def test_imported_orders_are_remembered(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an import each single order gets the values of the whole table; importing again changes nothing."""
    table = orders(400, seed=4).sort_by("timestamp")
    pq.write_table(table.slice(0, 300), tmp_path / "past.parquet")
    monkeypatch.setenv("VOUCH_AGENT_LEDGER_URL", ledger_url)
    for new in (300, 0):
        done = call("history", "import", str(tmp_path / "past.parquet"))
        assert done.returncode == 0 and f"{new} new; history is complete since" in done.stdout, (
            done.stdout + done.stderr
        )
    wanted = by_hand(table)
    ledger = Ledger(open_engine(ledger_url))
    for order in messages(table.slice(300)):
        recalled = await ledger.write(RecordAttempt(order))
        assert isinstance(recalled, HistoryFeatures)
        assert recalled.values == wanted[order.transaction_id]
    ledger.close()


async def test_an_export_computes_to_the_completed_values(ledger_url: str, tmp_path: Path) -> None:
    """Denied, revised and repeated orders of a ledger, exported and computed from the file, have the agent's values."""
    ledger, answered = Ledger(open_engine(ledger_url)), {}
    await ledger.write(lambda group: group.execute(MEMORY.update().values(since=0)))
    for order in messages(orders(200, seed=6).sort_by("timestamp")):
        answered[order.transaction_id] = await review(ledger, order, DENY if hash(order.user_id) % 3 else APPROVE)
    ledger.close()
    for suffix in ("parquet", "csv"):
        export, output = tmp_path / f"export.{suffix}", tmp_path / f"filled.{suffix}"
        done = call("history", "export", "--ledger", ledger_url, "--output", str(export))
        assert done.returncode == 0 and "200 decisions" in done.stdout, done.stderr
        done = call("history", "compute", str(export), "--output", str(output))
        assert done.returncode == 0 and "in ledger order" in done.stdout, done.stderr
        assert history_columns(read_table(output)) == answered


@pytest.mark.parametrize(
    "numbers", ["1,1,1,9,0,false", ",1,1,,0,false", "2,1,1,,0,true", "1,1,1,,,", "1,1,1,x,0,false"]
)
def test_an_export_that_does_not_fit_together_is_refused(tmp_path: Path, numbers: str) -> None:
    """Attempts that were replaced or read but are missing, or missing numbers, are an error, and nothing is written."""
    names = "transaction_id,timestamp,user_id,memory_number,memory_read,memory_kept,memory_replaces,memory_since,denied"
    (tmp_path / "bad.csv").write_text(f"{names}\nt,2026-11-25 10:00:00,u,{numbers}\n")
    done = call("history", "compute", str(tmp_path / "bad.csv"), "--output", str(tmp_path / "out.csv"))
    assert done.returncode == 2 and "bad.csv: the history numbers are inconsistent" in done.stderr, done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_ledger_without_orders_has_nothing_to_export(tmp_path: Path) -> None:
    """An empty ledger is reported, without a file; a missing ledger is refused, and not created."""
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    arguments = ("history", "export", "--ledger", url, "--output", str(tmp_path / "e.csv"))
    done = call(*arguments)
    assert done.returncode == 2 and "there is no ledger" in done.stderr, done.stdout
    assert not (tmp_path / "empty.db").exists()
    new_ledger(tmp_path / "empty.db")
    done = call(*arguments)
    assert done.returncode == 2 and "history is empty" in done.stderr, done.stdout
    assert not (tmp_path / "e.csv").exists()


CORRECTED = Path(__file__).parent.parent / "reading" / "cases" / "25"
MAPPED = "columns: {transaction_id: id, timestamp: placed, user_id: customer, order_amount: amount}\n"


async def test_a_corrected_export_replaces_what_was_imported(
    ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another amount or second of an imported order replaces it; what the agent received itself stays as it is."""
    monkeypatch.setenv("VOUCH_AGENT_LEDGER_URL", ledger_url)
    (tmp_path / "m.yaml").write_text(MAPPED)
    for name, summary in (("first", "20 new; "), ("second", "0 new, 2 replaced; "), ("second", "0 new; ")):
        done = call("history", "import", str(CORRECTED / f"{name}.csv"), "--mapping", str(tmp_path / "m.yaml"))
        assert done.returncode == 0 and f"20 orders: {summary}" in done.stdout, done.stdout + done.stderr

    def order(name: str, time: str, amount: float) -> Transaction:
        result = Transaction(transaction_id=name, user_id="c1", order_amount=amount)
        result.timestamp.FromJsonString(time)
        result.account_created_date.FromJsonString("2026-01-01T10:00:00Z")
        return result

    ledger = Ledger(open_engine(ledger_url))
    found = await ledger.write(RecordAttempt(order("own", "2026-02-01T10:00:00Z", 99.0)))
    assert isinstance(found, HistoryFeatures)
    assert (found.values["total_orders_lifetime"], found.values["avg_order_value"]) == (20, 378 / 20)
    (tmp_path / "own.csv").write_text("id,placed,customer,amount\nown,2026-02-01 10:00:05,c1,1\n")
    done = call("history", "import", str(tmp_path / "own.csv"), "--mapping", str(tmp_path / "m.yaml"))
    assert done.returncode == 0 and "1 orders: 0 new; " in done.stdout, done.stdout + done.stderr
    found = await ledger.write(RecordAttempt(order("next", "2026-02-02T10:00:00Z", 1.0)))
    assert isinstance(found, HistoryFeatures)
    assert found.values["avg_order_value"] == pytest.approx((378 + 99) / 21)
    ledger.close()


async def test_orders_without_ids_are_imported_once(
    ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a column of ids an order is its account and time, so that rows of another file do not replace it."""
    monkeypatch.setenv("VOUCH_AGENT_LEDGER_URL", ledger_url)
    (tmp_path / "m.yaml").write_text(MAPPED.replace("transaction_id: id, ", ""))
    for name, rows, summary in (
        ("a", "x,2026-01-01 10:00,c1,10\n", "1 orders: 1 new; "),
        ("b", "x,2026-01-02 10:00,c1,20\nx,2026-01-01 10:00,c1,10\n", "2 orders: 1 new; "),
    ):
        (tmp_path / f"{name}.csv").write_text("id,placed,customer,amount\n" + rows)
        done = call("history", "import", str(tmp_path / f"{name}.csv"), "--mapping", str(tmp_path / "m.yaml"))
        assert done.returncode == 0 and summary in done.stdout, done.stdout + done.stderr
    (tmp_path / "m.yaml").write_text("columns: {timestamp: placed}\n")
    done = call("history", "import", str(tmp_path / "a.csv"), "--mapping", str(tmp_path / "m.yaml"))
    assert done.returncode == 2 and "user_id must be mapped" in done.stderr
