"""Agents and their database killed under load."""

from pathlib import Path

from chaos.ledger.kills import LedgerKept, kill_agents
from testing.ledger.templates import new_ledger_on
from testing.servers.postgres import Postgres

BETWEEN = 15


def _holds(kept: LedgerKept) -> None:
    assert len(kept.outcome.answers) >= 2 * BETWEEN
    assert (kept.missing, kept.different, kept.doubled, kept.lost_cases, kept.other_answers) == (0, 0, 0, 0, 0)
    assert not kept.broken
    assert kept.other_history == 0 and kept.filled >= 9 * len(kept.outcome.answers)


async def test_killed_agents_lose_nothing_that_was_acknowledged(models: Path, tmp_path: Path) -> None:
    """Kill -9 of the agent under load: each answer is kept, once, as answered; memory is what a replay says."""
    _holds(await kill_agents(tmp_path, models, kills=1, rate=30, between=BETWEEN))


async def test_two_agents_on_postgres_lose_nothing(models: Path, tmp_path: Path, postgres: Postgres) -> None:
    """The same with two agents on one PostgreSQL, which is killed too."""
    url = new_ledger_on(postgres)
    kept = await kill_agents(tmp_path, models, kills=1, rate=30, agents=2, url=url, postgres=postgres, between=BETWEEN)
    _holds(kept)
