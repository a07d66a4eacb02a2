"""Idle clients beside active ones."""

from pathlib import Path

import pytest

from chaos.endpoints.idlers import review_beside_idle_clients


@pytest.mark.envoy
async def test_idle_callers_take_no_place(models: Path, tmp_path: Path) -> None:
    """Beside 100 clients that watch, stay silent or send slowly, every review through the edge is answered."""
    idled = await review_beside_idle_clients(tmp_path, models, idlers=100, rate=0.0, seconds=0.0, reviews=20)
    assert (len(idled.alone.answers), idled.alone.failures) == (20, {})
    assert (len(idled.with_idle_clients.answers), idled.with_idle_clients.failures) == (20, {})
