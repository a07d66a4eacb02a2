"""Backups: taken while agents write, restored into either database, and never left half restored."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.audit.signing import Signing, make_key
from agent_server.audit.verify import verify_ledger
from agent_server.backup.copying import back_up, restore
from agent_server.backup.starting import check_ledger
from agent_server.cases.changes import newest_change
from agent_server.commands.ledger import main
from agent_server.database.engine import connect, writing
from agent_server.ledger import Ledger, LedgerError, open_engine, reading
from agent_server.ledger.chain import Unsigned
from agent_server.ledger.migrate import migrate
from agent_server.ledger.queries import latest_record
from agent_server.ledger.schema import ENTRIES
from agent_server.tables import METADATA
from runtime.errors import Unavailable
from testing.commands import error_of_command
from testing.ledger.decisions import new_decision
from testing.ledger.whole_ledger import RetryingLedger, write_whole_ledger
from testing.servers.launching import run
from testing.servers.postgres import Postgres


def count_entries(url: str) -> int:
    with reading(url) as connection:
        verified = verify_ledger(connection, None)
    assert not verified.broken, verified.broken
    return verified.entries


def _all_rows(url: str) -> dict[str, list[Any]]:
    with reading(url) as connection:
        return {
            name: sorted(map(repr, connection.execute(sa.select(table)).all()))
            for name, table in METADATA.tables.items()
        }


async def write_new_decisions(url: str, numbers: range, key: Path | None = None) -> None:
    ledger = RetryingLedger(open_engine(url), Signing(key) if key else None)
    await write_decisions(ledger, numbers)
    ledger.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL to restore a backup to."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'restored.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


def test_a_backup_restores_completely_into_either_database(ledger_url: str, other_url: str, tmp_path: Path) -> None:
    """The backup and the restored ledger have every row of every table, the signature and the chain, on either
    database; the restored ledger accepts writes.
    """
    make_key(tmp_path / "key.pem")
    asyncio.run(write_whole_ledger(ledger_url, tmp_path / "key.pem"))
    backup, key = tmp_path / "backup.db", ["--key", str(tmp_path / "key.pem.pub")]
    assert main(["--ledger", ledger_url, "backup", str(backup)]) == 0
    assert backup.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == ["backup.db"]
    before = _all_rows(ledger_url)
    assert all(before.values())
    assert main(["--ledger", other_url, "restore", str(backup)]) == 0
    assert _all_rows(f"sqlite:///{backup}") == _all_rows(other_url) == before
    from agent_server.commands.audit import main as audit

    assert audit(["--ledger", other_url, "verify", *key]) == 0

    async def append_more() -> int:
        ledger = Ledger(open_engine(other_url), Signing(tmp_path / "key.pem"))
        newest = await ledger.read(newest_change)
        await ledger.write(new_decision("after"))
        assert await ledger.read(latest_record("tafter")) is not None
        later = await ledger.read(newest_change)
        ledger.close()
        return later - newest

    assert asyncio.run(append_more()) == 1
    assert audit(["--ledger", other_url, "verify", *key]) == 0


async def test_backups_while_two_agents_write(ledger_url: str, tmp_path: Path) -> None:
    """Five backups while two ledgers write: each verifies, has all writes acknowledged before, and blocks none."""
    ledgers = [Ledger(open_engine(ledger_url)) for _ in range(2)]
    await ledgers[0].write(new_decision("first"))
    acknowledged, stopping, more = [1], asyncio.Event(), asyncio.Event()

    async def write(number: int) -> None:
        turn = 0
        while not stopping.is_set():
            try:
                await ledgers[number].write(new_decision(f"{number}-{turn}"))
            except Unavailable:
                continue  # as a client would
            acknowledged[0] += 1
            turn += 1
            more.set()

    writers = [asyncio.create_task(write(number)) for number in range(2)]
    for turn in range(5):
        before = acknowledged[0]
        path = tmp_path / f"backup-{turn}.db"
        entries = await asyncio.to_thread(back_up, ledger_url, path, force=False)
        assert before <= entries == await asyncio.to_thread(count_entries, f"sqlite:///{path}")
        more.clear()
        async with asyncio.timeout(60):
            await more.wait()
    stopping.set()
    await asyncio.gather(*writers)
    for ledger in ledgers:
        ledger.close()


def _killed_at(step: int, action: str, url: str, backup: Path) -> bool:
    """Back up or restore in a process that is killed at a step; return whether it got that far."""
    done = run("-m", "testing.ledger.killed", str(step), action, url, str(backup))
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_kill_while_backing_up(ledger_url: str, tmp_path: Path) -> None:
    """Killed at any step, a backup is missing or complete, an older one stays complete, and the next works."""
    asyncio.run(write_new_decisions(ledger_url, range(3)))
    backup, steps = tmp_path / "backup.db", 0
    back_up(ledger_url, backup, force=False)
    asyncio.run(write_new_decisions(ledger_url, range(3, 6)))
    while _killed_at(steps + 1, "backup", ledger_url, backup):
        steps += 1
        assert count_entries(f"sqlite:///{backup}") in (3, 6), steps
    assert steps >= 5
    assert count_entries(f"sqlite:///{backup}") == 6
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == ["backup.db"]


def test_kill_while_restoring(ledger_url: str, tmp_path: Path) -> None:
    """Killed at any step, a restore leaves the old or the new ledger, or one that is refused with advice.

    No agent creates a new ledger in its place, and the same restore again completes.
    """
    asyncio.run(write_new_decisions(ledger_url, range(3)))
    backup, steps, refused = tmp_path / "backup.db", 0, list[str]()
    back_up(ledger_url, backup, force=False)
    asyncio.run(write_new_decisions(ledger_url, range(3, 8)))
    while _killed_at(steps + 1, "restore", ledger_url, backup):
        steps += 1
        try:
            check_ledger(ledger_url, Unsigned())
            engine = open_engine(ledger_url)
        except LedgerError as error:
            refused.append(str(error))
        else:
            engine.dispose()
            assert count_entries(ledger_url) in (3, 8), steps
        restore(backup, ledger_url, force=True)
        assert count_entries(ledger_url) == 3, steps
        asyncio.run(write_new_decisions(ledger_url, range(3, 8)))
    assert count_entries(ledger_url) == 3
    assert steps >= 3
    assert bool(refused) is ledger_url.startswith("sqlite")
    assert all("vouch ledger restore" in message for message in refused)


async def write_decisions(ledger: Ledger, numbers: range) -> None:
    for number in numbers:
        await ledger.write(new_decision(number))


def test_a_ledger_of_an_older_version_is_backed_up(tmp_path: Path) -> None:
    """A backup has the version of its ledger; an agent that starts on the restored one migrates it."""
    url, backup = f"sqlite:///{tmp_path / 'old.db'}", tmp_path / "backup.db"
    engine = connect(url)
    with writing(engine) as connection, connection.begin():
        migrate(connection, "0006")
    engine.dispose()
    assert back_up(url, backup, force=False) == 0
    restore(backup, f"sqlite:///{tmp_path / 'new.db'}", force=False)
    asyncio.run(write_new_decisions(f"sqlite:///{tmp_path / 'new.db'}", range(1)))
    assert count_entries(f"sqlite:///{tmp_path / 'new.db'}") == 1


def test_wrong_uses_of_backup_and_restore_are_refused(
    ledger_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is overwritten without --force, no ledger in use is replaced, and a file that is no backup is named."""
    asyncio.run(write_new_decisions(ledger_url, range(2)))
    backup, given = tmp_path / "backup.db", ("ledger", "--ledger", ledger_url)
    assert main(["--ledger", ledger_url, "backup", str(backup)]) == 0
    assert "--force" in error_of_command(capsys, *given, "backup", str(backup))
    assert "--force" in error_of_command(capsys, *given, "restore", str(backup))
    assert "there is no backup" in error_of_command(capsys, *given, "restore", str(tmp_path / "mistyped.db"))
    (tmp_path / "text.db").write_text("no database " * 100)
    assert "damaged" in error_of_command(capsys, *given, "restore", str(tmp_path / "text.db"), "--force")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE entries (a)")
    assert "holds no ledger" in error_of_command(capsys, *given, "restore", str(tmp_path / "other.db"), "--force")
    assert "no ledger" in error_of_command(
        capsys, "ledger", "--ledger", f"sqlite:///{tmp_path / 'none.db'}", "backup", str(tmp_path / "b.db")
    )
    assert not (tmp_path / "none.db").exists() and not (tmp_path / "b.db").exists()
    if not ledger_url.startswith("sqlite"):
        return
    path = Path(ledger_url.removeprefix("sqlite:///"))
    assert "the ledger itself" in error_of_command(capsys, *given, "backup", str(path), "--force")
    assert "the ledger itself" in error_of_command(capsys, *given, "restore", str(path), "--force")
    ledger = Ledger(open_engine(ledger_url))
    asyncio.run(write_decisions(ledger, range(5, 6)))
    assert "in use" in error_of_command(capsys, *given, "restore", str(backup), "--force")
    assert count_entries(ledger_url) == 3
    ledger.close()
    assert main(["--ledger", ledger_url, "restore", str(backup), "--force"]) == 0
    with reading(ledger_url) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(ENTRIES)).scalar() == 2
