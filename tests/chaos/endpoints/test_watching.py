"""Watchers of cases at the edge, beside reviews."""

from pathlib import Path

import pytest

from chaos.endpoints.watching import watch_at_the_edge


@pytest.mark.envoy
async def test_watchers_at_the_edge_take_no_capacity_of_reviews(models: Path, tmp_path: Path) -> None:
    """With more watchers of either kind than the limit for reviews, all reviews are answered, and all watchers see
    them.
    """
    found = await watch_at_the_edge(tmp_path, models, by_rpc=40, by_events=40, reviews=15)
    assert (found.reviews, found.cases, found.refused) == (15, 15, 0)
    assert (found.cut_off, found.missed, found.doubled) == (0, 0, 0)
