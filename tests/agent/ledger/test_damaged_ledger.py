"""A ledger that is damaged, incomplete or signed with another key stops the start of the agent."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent_server.audit.signing import Signing, make_key
from agent_server.backup.copying import back_up, restore
from agent_server.backup.starting import check_ledger
from agent_server.commands.ledger import main
from agent_server.database import copies
from agent_server.database.engine import connect, writing
from agent_server.ledger import LedgerError, open_engine
from agent_server.ledger.chain import Unsigned
from agent_server.running import running
from agent_server.settings import AgentSettings
from testing.ledger.templates import new_ledger
from testing.ledger.whole_ledger import RetryingLedger
from tests.agent.ledger.test_backup import count_entries, write_decisions, write_new_decisions


def _serve(url: str) -> None:
    async def serve() -> None:
        async with running(
            AgentSettings(listen="127.0.0.1:0", metrics_listen="", ledger_url=url), handle_signals=False
        ):
            pass

    asyncio.run(serve())


def test_a_backup_beside_another_log_does_not_serve(tmp_path: Path) -> None:
    """An older file copied over the ledger of a killed agent does not serve: SQLite would write the old log into it.

    The agent refuses to serve, says what to do, and changes neither; the command restores it.
    """
    path, url = tmp_path / "ledger.db", new_ledger(tmp_path / "ledger.db")
    asyncio.run(write_new_decisions(url, range(60)))
    backup = tmp_path / "backup.db"
    back_up(url, backup, force=False)
    ledger = RetryingLedger(open_engine(url))
    asyncio.run(write_decisions(ledger, range(60, 200)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    asyncio.run(write_decisions(ledger, range(200, 260)))
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):  # the files that kill -9 leaves
        shutil.copyfile(tmp_path / name, killed / name)
    ledger.close()
    shutil.copyfile(backup, killed / "ledger.db")
    before = [(part.name, part.read_bytes()) for part in sorted(killed.iterdir()) if not part.name.endswith("-shm")]
    url = f"sqlite:///{killed / 'ledger.db'}"
    with pytest.raises(LedgerError, match="vouch ledger restore"):
        _serve(url)
    after = [(part.name, part.read_bytes()) for part in sorted(killed.iterdir()) if not part.name.endswith("-shm")]
    assert after == before
    with pytest.raises(LedgerError, match="--force"):
        restore(backup, url, force=False)
    entries, old = restore(backup, url, force=True)
    assert (entries, old is not None) == (60, True)
    _serve(url)
    assert count_entries(url) == 60


_DAMAGE: dict[str, Callable[[Path], object]] = {
    "a log without its ledger": lambda path: path.unlink(),
    "a file that is no database": lambda path: path.write_bytes(b"no database" * 1000),
    "a file that was cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "pages of zeros": lambda path: _overwrite(path, path.stat().st_size // 2),
}


def _overwrite(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(20_000))


@pytest.mark.parametrize("name", _DAMAGE)
def test_a_damaged_file_does_not_serve(name: str, tmp_path: Path) -> None:
    """With any damage to a ledger's file the agent exits, names the restore command, and creates no new file."""
    path, url = tmp_path / "ledger.db", new_ledger(tmp_path / "ledger.db")
    asyncio.run(write_new_decisions(url, range(60)))
    if name == "a log without its ledger":
        (tmp_path / "ledger.db-wal").write_bytes(b"log")
    _DAMAGE[name](path)
    with pytest.raises(LedgerError, match="vouch ledger restore"):
        _serve(url)
    assert path.exists() is (name != "a log without its ledger")


@pytest.mark.parametrize("statement", [
    "UPDATE head SET sequence = sequence - 1", "UPDATE head SET rows_number = rows_number - 1", "DELETE FROM head",
    "DELETE FROM entries WHERE sequence = 3", "DELETE FROM row_changes WHERE number = 3",
    "UPDATE entries SET decision = 1 WHERE sequence = 3",
])  # fmt: skip
def test_a_head_that_is_not_the_latest_does_not_serve(statement: str, ledger_url: str) -> None:
    """On either database, a head that the entries lack, or entries after the head, stop the start."""
    asyncio.run(write_new_decisions(ledger_url, range(3)))
    check_ledger(ledger_url, Unsigned())
    engine = connect(ledger_url)
    with writing(engine) as connection, connection.begin():
        connection.exec_driver_sql(statement)
    engine.dispose()
    with pytest.raises(LedgerError, match="vouch audit verify"):
        _serve(ledger_url)


def test_the_check_of_a_large_file_has_a_time_limit(tmp_path: Path) -> None:
    """A check that exceeds its time limit does not delay the start; without a limit it finishes."""
    asyncio.run(write_new_decisions(new_ledger(tmp_path / "ledger.db"), range(100)))
    assert copies.find_damage(tmp_path / "ledger.db", None) == ""
    assert copies.find_damage(tmp_path / "ledger.db", 60) == ""
    check_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", Unsigned(), 1e-9)


def test_a_ledger_that_is_signed_serves_with_its_key_only(ledger_url: str, tmp_path: Path) -> None:
    """Another key, or none, is refused at the start with advice; a backup needs no key."""
    for name in ("one.pem", "two.pem"):
        make_key(tmp_path / name)
    asyncio.run(write_new_decisions(ledger_url, range(2), tmp_path / "one.pem"))
    check_ledger(ledger_url, Signing(tmp_path / "one.pem"))
    with pytest.raises(LedgerError, match="vouch audit sign"):
        check_ledger(ledger_url, Signing(tmp_path / "two.pem"))
    with pytest.raises(LedgerError, match="set VOUCH_AGENT_LEDGER_KEY"):
        _serve(ledger_url)
    assert main(["--ledger", ledger_url, "backup", str(tmp_path / "backup.db")]) == 0
