"""Replicas behind the edge: one is killed, one hangs, and no call fails."""

from pathlib import Path

import pytest

from chaos.endpoints.replicas import hang_a_replica, kill_replicas
from testing.ledger.templates import new_ledger_on
from testing.servers.postgres import Postgres


@pytest.mark.envoy
async def test_a_killed_replica_fails_no_call(models: Path, tmp_path: Path, postgres: Postgres) -> None:
    """After kill -9 of an agent and of a scorer under load, all calls are answered and all reviews recorded once."""
    survived = await kill_replicas(tmp_path, models, new_ledger_on(postgres), kills=2, rate=20, between=10)
    assert survived.outcome.sent >= 50 and survived.kills == 2
    assert (dict(survived.outcome.failures), survived.outcome.lost) == ({}, 0), survived.outcome.errors[:3]
    assert (survived.missing, survived.doubled) == (0, 0)


@pytest.mark.envoy
async def test_a_hanging_replica_fails_no_call(models: Path, tmp_path: Path) -> None:
    """After SIGSTOP of an agent, the other one answers its calls and all later ones."""
    hung = await hang_a_replica(tmp_path, models, f"sqlite:///{tmp_path / 'ledger.db'}", rate=20, between=10, later=30)
    assert hung.outcome.sent >= 50
    assert (dict(hung.outcome.failures), hung.outcome.lost) == ({}, 0), hung.outcome.errors[:3]
