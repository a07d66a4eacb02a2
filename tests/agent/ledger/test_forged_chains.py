"""Forged chains: signatures and recorded heads detect a chain that was recomputed with write access."""

import asyncio
import hashlib
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent_server.audit.signing import Signing, make_key
from agent_server.audit.verify import verify_ledger
from agent_server.cases.tables import CASES
from agent_server.commands.audit import main
from agent_server.database.engine import writing
from agent_server.ledger import Ledger, LedgerError, open_engine, reading
from agent_server.ledger.chain import GENESIS, Unsigned, entry_hash
from agent_server.ledger.protected_rows import link_hash
from agent_server.ledger.schema import OUTCOMES
from agent_server.ledger.transaction import ForeignHead, LedgerTransaction
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import ErasureFacts
from runtime.errors import Unavailable
from testing.ledger.decisions import new_decision
from testing.ledger.whole_ledger import verified_ledger


def _recompute_chains(connection: sqlite3.Connection) -> None:
    """Recompute both chains up to the head, as somebody with write access can."""
    before = GENESIS
    columns = "sequence, kind, entry_id, at, decision, facts, commitment"
    for row in connection.execute(f"SELECT {columns} FROM entries ORDER BY sequence").fetchall():
        before = entry_hash(before, *row)
        connection.execute("UPDATE entries SET hash = ? WHERE sequence = ?", (before, row[0]))
    connection.execute("UPDATE head SET hash = ?, sequence = (SELECT max(sequence) FROM entries)", (before,))


def _flip_decision(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE entries SET decision = 1 WHERE sequence = (SELECT max(sequence) FROM entries WHERE decision = 2)"
    )
    _recompute_chains(connection)


def _forge_an_erasure(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM payloads WHERE sequence = 3")
    erased = connection.execute("SELECT entry_id FROM entries WHERE sequence = 3").fetchone()[0]
    last = connection.execute("SELECT max(sequence) FROM entries").fetchone()[0]
    facts = ErasureFacts(decision_ids=[erased]).SerializeToString()
    row = (last + 1, 2, "ab" * 16, 1, 0, facts, b"", b"")
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    _recompute_chains(connection)


def _remove_rows(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE outcomes SET kind = 3")
    for table in ("cases", "case_events", "outcomes", "row_changes"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("UPDATE head SET rows_number = 0, rows_hash = zeroblob(32)")


_FORGERIES = {
    "a flipped decision": _flip_decision,
    "a forged erasure": _forge_an_erasure,
    "forgotten rows": _remove_rows,
}


@pytest.mark.parametrize("name", _FORGERIES)
def test_a_recomputed_chain(name: str, signed_ledger: Path, tmp_path: Path) -> None:
    """A recomputed chain verifies without a key, but its signature is wrong, and no agent with the key appends to it.

    A head that was recorded elsewhere detects changes before it, also without a key.
    """
    copy = tmp_path / "copy.db"
    shutil.copyfile(signed_ledger / "ledger.db", copy)
    before = verified_ledger(copy)
    with closing(sqlite3.connect(copy)) as connection:
        _FORGERIES[name](connection)
        connection.commit()
    assert not verified_ledger(copy).broken
    assert "is not the signed head" in verified_ledger(copy, signed_ledger / "key.pem").broken
    ledger = Ledger(open_engine(f"sqlite:///{copy}"), Signing(signed_ledger / "key.pem"))
    with pytest.raises(Unavailable):
        asyncio.run(ledger.write(new_decision("later")))
    assert not asyncio.run(ledger.available(0))
    ledger.close()
    recorded_end = f"{before.entries}:{before.links}:{before.head.hex()}"
    appended = name == "a forged erasure"  # it could be one: only its signature is missing
    assert main(["--ledger", f"sqlite:///{copy}", "verify", "--end", recorded_end]) == int(not appended)
    assert main(["--ledger", f"sqlite:///{signed_ledger / 'ledger.db'}", "verify", "--end", recorded_end]) == 0


async def test_a_recorded_head_stays_valid(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The head that verification prints stays valid after appends; a head that the ledger never had is refused."""
    ledger = Ledger(open_engine(ledger_url))
    audit = ["--ledger", ledger_url, "verify"]
    assert main(audit) == 0
    empty = _printed_end(capsys)
    await ledger.write(new_decision(1))
    assert main(audit) == 0
    printed = _printed_end(capsys)
    await ledger.write(new_decision(2))
    for end in (empty, printed):
        assert main([*audit, "--end", end]) == 0
    for wrong in (printed[:-1] + ("0" if printed[-1] == "f" else "f"), f"9{printed}", f"1:9:{printed[4:]}"):
        assert main([*audit, "--end", wrong]) == 1
        assert "never had the head" in capsys.readouterr().err
    ledger.close()


def _printed_end(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("end ")]
    return line.split()[1]


async def test_a_key_is_adopted_once_and_stays(ledger_url: str, tmp_path: Path) -> None:
    """`vouch audit sign` signs a ledger without signatures; from then on nobody appends without that key."""
    first, second = tmp_path / "one.pem", tmp_path / "two.pem"
    make_key(first)
    make_key(second)
    ledger = Ledger(open_engine(ledger_url))
    await ledger.write(new_decision(1))
    ledger.close()
    keyed = Ledger(open_engine(ledger_url), Signing(first))
    with pytest.raises(Unavailable):  # anybody may have written the existing entries
        await keyed.write(new_decision(2))
    assert await asyncio.to_thread(main, ["--ledger", ledger_url, "sign", "--key", str(first)]) == 0
    await keyed.write(new_decision(2))
    other = Ledger(open_engine(ledger_url), Signing(first))  # two agents with one key
    for number in range(3, 7):
        await (keyed, other)[number % 2].write(new_decision(number))
    keyed.close()
    other.close()
    for signer in (None, Signing(second)):
        stranger = Ledger(open_engine(ledger_url), signer)
        with pytest.raises(Unavailable):
            await stranger.write(new_decision(9))
        stranger.close()
    with pytest.raises(ForeignHead, match="set VOUCH_AGENT_LEDGER_KEY"):
        _open_transaction(ledger_url)
    assert await asyncio.to_thread(main, ["--ledger", ledger_url, "verify", "--key", f"{first}.pub"]) == 0


def _open_transaction(url: str) -> None:
    engine = open_engine(url)
    try:
        with writing(engine) as connection, connection.begin():
            LedgerTransaction(connection, Unsigned())
    finally:
        engine.dispose()
    raise LedgerError("nobody was refused")


async def test_rows_are_inserted_by_the_transaction(ledger_url: str) -> None:
    """A statement that would insert a row without a commitment is refused; one that changes several covers all."""
    ledger = Ledger(open_engine(ledger_url))
    for number in range(5):
        await ledger.write(new_decision(number))
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
    """The hash is SHA-256 over the previous hash, the number as eight bytes, and the content."""
    assert link_hash(GENESIS, 1, b"abc") == hashlib.sha256(GENESIS + struct.pack(">q", 1) + b"abc").digest()
