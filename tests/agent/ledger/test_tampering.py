"""Tampering with any column of any table: found by `vouch audit verify`, or listed as not protected, with the reason."""

import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from agent_server.audit.coverage import NOT_PROTECTED
from agent_server.audit.signing import Signing, make_key, read_public, signature_fits
from agent_server.audit.verify import Verified, verify_ledger
from agent_server.cases.claims import Claim, Comment, Reviewer
from agent_server.cases.golden_copies import note_origin
from agent_server.cases.lifecycle import NewCase, VerdictDetails
from agent_server.cases.recording import RecordDecision
from agent_server.cases.tables import CASES
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.commands.audit import main
from agent_server.database.engine import writing
from agent_server.feedback.outcomes import Report
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.history_store.compaction import Compact
from agent_server.ledger import Ledger, LedgerError, open_engine, reading
from agent_server.ledger.chain import GENESIS, Unsigned, entry_hash
from agent_server.ledger.protected_rows import link_hash
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.schema import IMPORT_EXCLUSIONS, OUTCOMES
from agent_server.ledger.transaction import ForeignHead, LedgerTransaction, Write
from agent_server.privacy import Erase
from agent_server.tables import METADATA
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import ErasureFacts
from generated.vouch.v1.outcome_service_pb2 import OUTCOME_KIND_CHARGEBACK, Outcome
from runtime.errors import Unavailable
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, keep
from testing.ledger.templates import new_ledger

DOCS = Path(__file__).parents[3] / "docs" / "ledger.md"
LEASE = 600_000_000
T = TypeVar("T")


class _Call:
    request_id = "verdict"


class _Retrying(Ledger):
    """Retries as a client would: on a machine that is busy a write may not be done in its time."""

    async def write(self, write: Write[T]) -> T:
        while True:
            with contextlib.suppress(Unavailable):
                return await super().write(write)


async def _written(url: str, key: Path | None) -> None:
    """A ledger with rows in every table: decisions, verdicts, second looks, outcomes, memory, totals and an erasure."""
    ledger = _Retrying(open_engine(url), Signing(key) if key else None)
    for number in range(6):
        order = message(transaction_id=f"t{number}", user_id=f"user-{number}", device_id=f"device-{number}")
        recalled = await ledger.write(RecordAttempt(order))
        assert isinstance(recalled, HistoryFeatures)
        answer = answer_for(order.transaction_id)
        asked = DecisionContext("shop", f"request-{number}", "d" * 64, recalled.position)
        opening = NewCase(f"{number:032x}", cases.CASE_REASON_UNCERTAIN, held=number == 1)
        await ledger.write(RecordDecision(order, answer, asked, opening))
    for turn, name in enumerate(("ada", "bob", "ada", "bob")):
        by = Reviewer(name, 1_000_000 * (turn + 2))
        claimed = await ledger.write(Claim(by, LEASE))
        assert claimed is not None
        await ledger.write(Comment(by, claimed.case_id, "called the customer"))
        verdict = Verdict(claimed, pb.DECISION_DENY, VerdictDetails("stolen card", "payment_fraud", "card"))
        await ledger.write(Resolve(by, verdict, _Call(), lambda: True))  # type: ignore[arg-type]
    for number in range(6):
        outcome = Outcome(transaction_id=f"t{number}", kind=OUTCOME_KIND_CHARGEBACK, source="bank")
        await ledger.write(Report(outcome, 10 + number, "shop"))
    for amount in (9.0, 10.0):
        await ledger.write(RecordAttempt(message(transaction_id="t2", user_id="user-2", order_amount=amount)))
    await ledger.write(lambda group: note_origin(group, 3, [1, 2]))
    assert await ledger.write(Compact(0, [1]))
    await ledger.write(lambda group: group.execute(IMPORT_EXCLUSIONS.insert().values(user_id=7)))
    await ledger.write(keep("gone", user_id="gone"))
    assert await ledger.write(Erase(user_id="gone"))
    assert await ledger.available(0)
    ledger.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed ledger and its key."""
    folder = tmp_path_factory.mktemp("tampering")
    make_key(folder / "key.pem")
    asyncio.run(_written(new_ledger(folder / "ledger.db"), folder / "key.pem"))
    return folder


def _verified(path: Path, key: Path | None = None) -> Verified:
    public = read_public(key) if key else None
    fits = None if public is None else lambda signature, content: signature_fits(public, signature, content)
    with reading(f"sqlite:///{path}") as connection:
        return verify_ledger(connection, fits)


def _other(value: Any, column: sa.Column[Any]) -> list[Any]:
    """Values that an edit may leave in a column."""
    empty: list[Any] = [None] if column.nullable and value is not None else []
    if isinstance(value, bytes):
        return [bytes([value[0] ^ 1, *value[1:]]) if value else b"x", b"" if value else b"y", "text"]
    if isinstance(value, str):
        return [value + "x", *([""] if value else [])]
    if isinstance(column.type, sa.Boolean):
        return [not value]
    if value is None:
        return ["x"] if isinstance(column.type, sa.String) else [1, 0]
    return [value + 1, "text", *empty] if not column.primary_key else [value + 1_000_000]


def _edits(connection: sqlite3.Connection) -> Iterator[tuple[str, str, tuple[Any, ...], bool]]:
    """Every edit of one row of each table: its name, the statement, its values, and whether it has to be found."""
    for name, table in METADATA.tables.items():
        found = name not in NOT_PROTECTED
        columns = list(table.columns)
        keys = " AND ".join(f'"{column.name}" IS ?' for column in table.primary_key)
        listed = ", ".join(f'"{column.name}"' for column in columns)
        rows = connection.execute(f"SELECT {listed} FROM {name}").fetchall()
        assert rows, f"the ledger of this test has no row in {name}"
        row = dict(zip(table.columns.keys(), rows[len(rows) // 2], strict=True))
        where = tuple(row[column.name] for column in table.primary_key)
        for column in columns:
            if name == "head" and column.name == "id":
                continue  # nobody reads the number of the only row
            filled = next((dict(zip(row, one, strict=True)) for one in rows if one[columns.index(column)]), row)
            here = tuple(filled[part.name] for part in table.primary_key)
            for value in _other(filled[column.name], column):
                statement = f'UPDATE {name} SET "{column.name}" = ? WHERE {keys}'
                yield f"update {name}.{column.name} to {value!r:.20}", statement, (value, *here), found
        yield f"delete from {name}", f"DELETE FROM {name} WHERE {keys}", where, found
        if len(rows) > 1:
            yield f"delete all of {name}", f"DELETE FROM {name}", (), found
        if name != "head":
            changed = [_inserted(row[column.name], column) for column in columns]
            places = ", ".join("?" for _ in columns)
            yield f"insert into {name}", f"INSERT INTO {name} ({listed}) VALUES ({places})", tuple(changed), found


def _inserted(value: Any, column: sa.Column[Any]) -> Any:
    if not (column.primary_key or column.unique):
        return value
    return value + 1_000_000 if isinstance(value, int) else f"{value[:-1]}~"


def test_every_edit_is_found_or_listed(written: Path, tmp_path: Path) -> None:
    """Each column changed, a row of each table deleted and inserted, and each table emptied: found, unless its table is
    listed as not protected. A new table or column that is neither fails here.
    """
    assert {*METADATA.tables, "alembic_version"} >= set(NOT_PROTECTED), "a listed table is none of the ledger's"
    assert not _verified(written / "ledger.db", written / "key.pem").broken
    with closing(sqlite3.connect(written / "ledger.db")) as file:
        edits = list(_edits(file))
    shutil.copyfile(written / "ledger.db", tmp_path / "copy.db")
    public, wrong = read_public(written / "key.pem"), list[str]()
    engine = open_engine(f"sqlite:///{tmp_path / 'copy.db'}")
    for name, statement, values, must in edits:
        with writing(engine) as connection:
            assert connection.exec_driver_sql(statement, values).rowcount, name
            verified = verify_ledger(connection, lambda signature, end: signature_fits(public, signature, end))
            connection.rollback()
        if bool(verified.broken) is not must:
            wrong.append(f"{'missed' if must else 'found, but listed as not protected'}: {name}")
    engine.dispose()
    assert wrong == []
    assert len(edits) > 150


def test_the_page_lists_what_is_not_protected() -> None:
    """docs/ledger.md names every table that verification does not cover, with the same reason."""
    page = " ".join(DOCS.read_text().split())
    assert [f"`{name}`: {reason}" for name, reason in NOT_PROTECTED.items() if f"`{name}`: {reason}" not in page] == []


def _compute_anew(connection: sqlite3.Connection) -> None:
    """What somebody does who can write to the database and knows the format: both chains anew, up to the head."""
    before = GENESIS
    columns = "sequence, kind, entry_id, at, decision, facts, commitment"
    for row in connection.execute(f"SELECT {columns} FROM entries ORDER BY sequence").fetchall():
        before = entry_hash(before, *row)
        connection.execute("UPDATE entries SET hash = ? WHERE sequence = ?", (before, row[0]))
    connection.execute("UPDATE head SET hash = ?, sequence = (SELECT max(sequence) FROM entries)", (before,))


def _flip(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE entries SET decision = 1 WHERE sequence = (SELECT max(sequence) FROM entries WHERE decision = 2)"
    )
    _compute_anew(connection)


def _forge_an_erasure(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM payloads WHERE sequence = 3")
    erased = connection.execute("SELECT entry_id FROM entries WHERE sequence = 3").fetchone()[0]
    last = connection.execute("SELECT max(sequence) FROM entries").fetchone()[0]
    facts = ErasureFacts(decision_ids=[erased]).SerializeToString()
    row = (last + 1, 2, "ab" * 16, 1, 0, facts, b"", b"")
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    _compute_anew(connection)


def _forget_the_rows(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE outcomes SET kind = 3")
    for table in ("cases", "case_events", "outcomes", "row_changes"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("UPDATE head SET rows_number = 0, rows_hash = zeroblob(32)")


_FORGERIES = {"a flipped decision": _flip, "a forged erasure": _forge_an_erasure, "forgotten rows": _forget_the_rows}


@pytest.mark.parametrize("name", _FORGERIES)
def test_a_chain_that_was_computed_anew(name: str, written: Path, tmp_path: Path) -> None:
    """Whoever can write to the database can compute a chain anew. Without a key nothing shows; the signature does not fit,
    no agent with the key appends to it, and an end that was kept elsewhere finds what was before it without a key too.
    """
    copy = tmp_path / "copy.db"
    shutil.copyfile(written / "ledger.db", copy)
    before = _verified(copy)
    with closing(sqlite3.connect(copy)) as connection:
        _FORGERIES[name](connection)
        connection.commit()
    assert not _verified(copy).broken
    assert "is not the signed end" in _verified(copy, written / "key.pem").broken
    ledger = Ledger(open_engine(f"sqlite:///{copy}"), Signing(written / "key.pem"))
    with pytest.raises(Unavailable):
        asyncio.run(ledger.write(keep("later")))
    assert not asyncio.run(ledger.available(0))
    ledger.close()
    kept = f"{before.entries}:{before.links}:{before.end.hex()}"
    appended = name == "a forged erasure"  # it could be one: only its signature is missing
    assert main(["--ledger", f"sqlite:///{copy}", "verify", "--end", kept]) == int(not appended)
    assert main(["--ledger", f"sqlite:///{written / 'ledger.db'}", "verify", "--end", kept]) == 0


async def test_an_end_that_was_kept_holds_later(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The end that verification prints is one that the ledger had, whatever is appended; another one it never had."""
    ledger = Ledger(open_engine(ledger_url))
    audit = ["--ledger", ledger_url, "verify"]
    assert main(audit) == 0
    empty = _printed_end(capsys)
    await ledger.write(keep(1))
    assert main(audit) == 0
    kept = _printed_end(capsys)
    await ledger.write(keep(2))
    for end in (empty, kept):
        assert main([*audit, "--end", end]) == 0
    for wrong in (kept[:-1] + ("0" if kept[-1] == "f" else "f"), f"9{kept}", f"1:9:{kept[4:]}"):
        assert main([*audit, "--end", wrong]) == 1
        assert "never had the end" in capsys.readouterr().err
    ledger.close()


def _printed_end(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("end ")]
    return line.split()[1]


async def test_a_key_is_taken_up_once_and_stays(ledger_url: str, tmp_path: Path) -> None:
    """A ledger without signatures is signed by `vouch audit sign`; from then on nobody appends without that key."""
    first, second = tmp_path / "one.pem", tmp_path / "two.pem"
    make_key(first)
    make_key(second)
    ledger = Ledger(open_engine(ledger_url))
    await ledger.write(keep(1))
    ledger.close()
    keyed = Ledger(open_engine(ledger_url), Signing(first))
    with pytest.raises(Unavailable):  # it may have been anybody who wrote what is there
        await keyed.write(keep(2))
    assert await asyncio.to_thread(main, ["--ledger", ledger_url, "sign", "--key", str(first)]) == 0
    await keyed.write(keep(2))
    other = Ledger(open_engine(ledger_url), Signing(first))  # two agents with one key
    for number in range(3, 7):
        await (keyed, other)[number % 2].write(keep(number))
    keyed.close()
    other.close()
    for signer in (None, Signing(second)):
        stranger = Ledger(open_engine(ledger_url), signer)
        with pytest.raises(Unavailable):
            await stranger.write(keep(9))
        stranger.close()
    with pytest.raises(ForeignHead, match="set VOUCH_AGENT_LEDGER_KEY"):
        _group(ledger_url)
    assert await asyncio.to_thread(main, ["--ledger", ledger_url, "verify", "--key", f"{first}.pub"]) == 0


def _group(url: str) -> None:
    engine = open_engine(url)
    try:
        with writing(engine) as connection, connection.begin():
            LedgerTransaction(connection, Unsigned())
    finally:
        engine.dispose()
    raise LedgerError("nobody was refused")


async def test_rows_are_inserted_by_the_group(ledger_url: str) -> None:
    """A statement that would insert a row past the commitments is refused; one that changes several rows covers them all."""
    ledger = Ledger(open_engine(ledger_url))
    for number in range(5):
        await ledger.write(keep(number))
    with pytest.raises(TypeError, match="outcomes"):
        await ledger.write(lambda group: group.execute(OUTCOMES.insert().values(outcome_id="x")))
    chosen = CASES.c.status == cases.CASE_STATUS_OPEN
    await ledger.write(lambda group: group.execute(CASES.update().where(chosen).values(note="seen")))
    await ledger.write(lambda group: group.execute(CASES.delete().where(CASES.c.sequence == 3)))
    await ledger.write(lambda group: group.execute(CASES.update().values(due_at=7)))
    with reading(ledger_url) as connection:
        assert not verify_ledger(connection, None).broken
        assert len({row.salt for row in connection.execute(sa.select(CASES.c.salt))}) == 1
    ledger.close()


def test_hashes_of_the_second_chain_are_as_documented() -> None:
    """SHA-256 over the hash before, the number as eight bytes, and the content."""
    assert link_hash(GENESIS, 1, b"abc") == hashlib.sha256(GENESIS + struct.pack(">q", 1) + b"abc").digest()
