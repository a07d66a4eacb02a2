"""Agents and their database killed under load."""

from pathlib import Path

from chaos.ledger.kills import LedgerResult, kill_agents
from testing.ledger.templates import new_ledger_on
from testing.servers.postgres import Postgres

BETWEEN = 15


def _check(result: LedgerResult) -> None:
    assert len(result.outcome.answers) >= 2 * BETWEEN
    assert (result.missing, result.different, result.doubled, result.lost_cases, result.other_answers) == (
        0,
        0,
        0,
        0,
        0,
    )
    assert not result.broken
    assert result.other_history == 0 and result.completed >= 9 * len(result.outcome.answers)


async def test_killed_agents_lose_nothing_that_was_acknowledged(models: Path, tmp_path: Path) -> None:
    """After kill -9 of the agent under load, each answer is recorded once, as sent; history equals a replay."""
    _check(await kill_agents(tmp_path, models, kills=1, rate=30, between=BETWEEN))


async def test_two_agents_on_postgres_lose_nothing(models: Path, tmp_path: Path, postgres: Postgres) -> None:
    """The same with two agents on one PostgreSQL, which is killed too."""
    url = new_ledger_on(postgres)
    result = await kill_agents(
        tmp_path, models, kills=1, rate=30, agents=2, url=url, postgres=postgres, between=BETWEEN
    )
    _check(result)
