"""What `make chaos` does to the ledger with full counts, here with few."""

from pathlib import Path

import pytest

from chaos.ledgers import LedgerKept, kill_agents
from chaos.outages import stop_scorer
from chaos.tamperings import tamper
from testing.servers.postgres import binaries, running


def _holds(found: LedgerKept) -> None:
    assert len(found.outcome.answers) >= 100
    assert (found.missing, found.different, found.doubled, found.lost_cases, found.other_answers) == (0, 0, 0, 0, 0)
    assert not found.broken


async def test_killed_agents_lose_nothing_that_was_acknowledged(models: Path, tmp_path: Path) -> None:
    """Kill -9 of the agent under load: each acknowledged answer is kept, once, as answered; asked again it is the same."""
    _holds(await kill_agents(tmp_path, models, kills=1, rate=60))


@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed (Debian: postgresql)")
async def test_two_agents_on_postgres_lose_nothing(models: Path, tmp_path: Path) -> None:
    """The same with two agents on one PostgreSQL, which is killed too."""
    with running(tmp_path) as postgres:
        url = postgres.new_database()
        _holds(await kill_agents(tmp_path, models, kills=1, rate=60, agents=2, url=url, postgres=postgres))


async def test_an_outage_of_the_scorer_is_no_outage(models: Path, tmp_path: Path) -> None:
    """The scorer stops under load: no error, no approval unseen, and every degraded case is scored after its return."""
    found = await stop_scorer(tmp_path, models, rate=40, seconds=1.5)
    assert found.degraded > 20
    assert [error.debug_error_string() for error in found.away.errors] == []
    assert (found.away.failures, found.away.lost, found.unseen_approvals) == ({}, 0, 0)


async def test_no_tampering_is_missed(tmp_path: Path) -> None:
    """Sixty random tamperings are found and named; untouched ledgers, with erasures and without, hold."""
    found = await tamper(tmp_path, times=60, ledgers=4)
    assert (found.missed, found.misnamed, found.suspected) == (0, 0, 0)
