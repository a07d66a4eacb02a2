"""Watchers of the queue on two agents, one of which is killed."""

from pathlib import Path

from chaos.watchers import watch


async def test_each_change_is_seen_once_and_in_order(tmp_path: Path) -> None:
    """60 watchers, some of whom lose their agent, see each change of 20 cases once and in order."""
    watched = await watch(tmp_path, 60, 20)
    assert (watched.missed, watched.doubled, watched.disorder) == (0, 0, 0)
    assert watched.changes >= 3 * 20 and watched.reconnected > 0
