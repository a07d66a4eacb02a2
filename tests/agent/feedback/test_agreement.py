"""Kappa, shares and the test for a reviewer with more errors, against examples and simulations."""

import random

import pytest

from agent_server.feedback.agreement import fisher_p_value, kappa, wilson_interval


def table(*counts: tuple[str, str, int]) -> list[tuple[str, str]]:
    """Return pairs by their counts."""
    return [(first, second) for first, second, count in counts for _ in range(count)]


def test_kappa_by_hand() -> None:
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: 0.70 observed, 0.50 by chance, kappa 0.4."""
    found = kappa(table(("y", "y", 20), ("y", "n", 5), ("n", "y", 10), ("n", "n", 15)))
    assert found is not None and found.value == pytest.approx(0.4)
    assert found.low == pytest.approx(0.1512, abs=2e-3) and found.high == pytest.approx(0.6488, abs=2e-3)


def test_kappa_at_the_edges() -> None:
    """Kappa is 1 if all agree and both values occur, and undefined if only one occurs or without pairs."""
    sure = kappa(table(("y", "y", 5), ("n", "n", 5)))
    assert sure is not None and all(one == pytest.approx(1.0) for one in (sure.value, sure.low, sure.high))
    assert kappa(table(("y", "y", 5))) is None
    assert kappa([]) is None


def test_the_interval_covers() -> None:
    """In 400 simulated samples of 150 pairs, about 95 % of the intervals contain the true kappa."""
    chance, covered = random.Random(1), 0
    for _ in range(400):
        pairs = []
        for _ in range(150):
            truth = chance.random() < 0.4
            pairs.append(tuple((chance.random() < 0.9) == truth for _ in range(2)))
        found = kappa(pairs)  # type: ignore[arg-type]
        abuse_share = 0.4 * 0.9 + 0.6 * 0.1
        by_chance = abuse_share**2 + (1 - abuse_share) ** 2
        true = (0.82 - by_chance) / (1 - by_chance)
        assert found is not None
        covered += found.low <= true <= found.high
    assert 365 <= covered <= 395


def test_shares() -> None:
    """Wilson's interval of 3 in 10 matches; without trials the interval is 0 to 1."""
    found = wilson_interval(3, 10)
    assert (round(found.low, 3), round(found.high, 3)) == (0.108, 0.603)
    assert wilson_interval(0, 0).low == 0 and wilson_interval(0, 0).high == 1


def test_chance_of_more() -> None:
    """Fisher's exact test of the lady tasting tea: four of four right has p = 1/70; without errors p is 1."""
    assert fisher_p_value(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher_p_value(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher_p_value(0, 10, 0, 10) == 1
