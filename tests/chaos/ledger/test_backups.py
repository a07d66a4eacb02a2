"""Backups and restores under load, some of them killed."""

from pathlib import Path

from chaos.ledger.backups import BackupResult, back_up_under_load
from testing.servers.postgres import Postgres

BETWEEN = 20


def _check(backed: BackupResult, backups: int) -> None:
    assert len(backed.outcome.answers) >= BETWEEN * backups
    assert (dict(backed.outcome.failures), backed.outcome.lost) == ({}, 0), backed.outcome.errors[:3]
    assert (backed.complete, backed.failed, backed.unwanted) == (backups, 0, 0)
    assert (backed.missing, backed.lost, backed.broken) == (0, 0, [])


async def test_complete_backups_restore_all_that_was_acknowledged(models: Path, tmp_path: Path) -> None:
    """A backup under load, with kills before, restores to a ledger that verifies and has every acknowledged review."""
    _check(await back_up_under_load(tmp_path, models, backups=2, rate=40, between=BETWEEN), 2)


async def test_backups_of_postgres_restore_all(models: Path, tmp_path: Path, postgres: Postgres) -> None:
    """The same with two agents on one PostgreSQL, into another database of it."""
    url, new_url = postgres.new_database(), postgres.new_database
    backed = await back_up_under_load(
        tmp_path, models, backups=1, rate=40, agents=2, url=url, new_url=new_url, between=BETWEEN
    )
    _check(backed, 1)
