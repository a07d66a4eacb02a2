"""The exact probability of abuse: it matches observed rates and brute force."""

import itertools

import numpy as np
import pytest

from data_gen.language.timeline import Timeline, hour_of_week
from data_gen.language.variables import LATENT, NODES
from data_gen.network.compile import QUANTA
from data_gen.network.draw import RawNumbers, configuration, draw
from data_gen.output.generator import RowGenerator
from data_gen.output.plan import make_plan
from data_gen.output.rows import make_rows
from data_gen.patterns import PATTERNS
from data_gen.patterns.shares import DEFAULT_RATIOS
from tests.generator.by_hand import abuse_by_hand


def test_stated_probabilities_are_observed_rates() -> None:
    """In ten bins of 60,000 rows the observed abuse is within sampling error of the stated probability."""
    plan = make_plan(60_000, DEFAULT_RATIOS, PATTERNS)
    generator = RowGenerator(plan, 5)
    rows = make_rows(generator.network, generator.posterior, plan.chunks[0], 5)
    stated = rows.column("abuse_confidence").to_numpy()
    truth = rows.column("is_abuse").to_numpy(zero_copy_only=False)
    for group in np.array_split(np.argsort(stated), 10):
        expected, variance = stated[group].sum(), (stated[group] * (1 - stated[group])).sum()
        assert abs(truth[group].sum() - expected) < 4.5 * np.sqrt(variance) + 1


@pytest.mark.parametrize("seed", [1, 2])
def test_brute_force_agrees(seed: int) -> None:
    """Multiplying every factor, summed over the home country row by row, gives the same to 1e-9."""
    ratios = {**DEFAULT_RATIOS, "legitimate": 0.6, "card_testing": 0.1}  # rows of every pattern
    plan = make_plan(1000, ratios, PATTERNS)
    generator = RowGenerator(plan, seed)
    network = generator.network
    numbers = RawNumbers(np.random.SeedSequence(seed))
    pattern = np.arange(40) % len(PATTERNS)
    times = plan.start + np.arange(40) * 191_000
    codes = draw(network, pattern, lambda name: numbers.uint16(len(pattern)))
    stated = generator.posterior.abuse(codes, times)
    for row in range(40):
        assert stated[row] == pytest.approx(abuse_by_hand(network, plan, codes, times, row), abs=1e-9)


def test_every_node_is_drawn_from_its_table() -> None:
    """Over many draws, each node's frequencies match its table."""
    plan = make_plan(1000, DEFAULT_RATIOS, PATTERNS)
    network = RowGenerator(plan, 1).network
    rows = 40_000
    numbers = RawNumbers(np.random.SeedSequence(3))
    codes = draw(network, np.zeros(rows, dtype=np.int64), lambda name: numbers.uint16(rows))
    for node in network.nodes:
        where = configuration(node, codes)
        busiest = np.bincount(np.broadcast_to(where, rows)).argmax()
        chosen = codes[node.name][np.broadcast_to(where, rows) == busiest]
        expected = node.quanta[node.table_of[0, busiest]] / QUANTA
        observed = np.bincount(chosen, minlength=node.domain.size) / len(chosen)
        error = np.sqrt(expected * (1 - expected) / len(chosen))
        assert (np.abs(observed - expected) <= 5 * error + 1e-9).all(), node.name


def test_hours_follow_the_week() -> None:
    """Times of a pattern follow its weights for the hours of the week."""
    week = PATTERNS[0].week
    timeline = Timeline(week, 0, 28 * 86_400)
    times = timeline.times_at(RawNumbers(np.random.SeedSequence(1)).up_to(timeline.total, 200_000))
    observed = np.bincount(hour_of_week(times), minlength=168) / 200_000
    expected = week.weights / week.weights.sum()
    assert np.abs(observed - expected).max() < 5 * np.sqrt(expected.max() / 200_000)
    assert times.min() >= 0
    assert times.max() < 28 * 86_400


def test_weights_and_times_are_inverse() -> None:
    """The weight before the second that uses up a weight is never more than that weight."""
    timeline = Timeline(PATTERNS[0].week, 5000, 900_000)
    for weight in itertools.chain([0, timeline.total - 1], range(1, timeline.total, timeline.total // 50)):
        second = int(timeline.times_at(np.array([weight]))[0])
        assert timeline.weight_before(second) <= weight < timeline.weight_before(second + 1)


def test_all_nodes_are_declared_once() -> None:
    """No node is both drawn and hidden."""
    assert not NODES.keys() & LATENT.keys()
