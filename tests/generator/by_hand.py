"""The posterior of a row, multiplied and summed by brute force."""

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from data_gen.language.timeline import Timeline, hour_of_week
from data_gen.language.variables import Codes, domain_of
from data_gen.network.compile import QUANTA, Network
from data_gen.network.draw import configuration
from data_gen.output.plan import Plan


def abuse_by_hand(
    network: Network, plan: Plan, codes: Mapping[str, Codes], times: NDArray[np.int64], row: int
) -> float:
    """Return P(abuse) of a row: every factor of every pattern, summed over all values of hidden nodes."""
    hidden, weights = sorted(network.hidden), []
    shown = {name: values[row : row + 1] for name, values in codes.items()}
    cells = []  # of each node, for all values of hidden nodes: its configuration and its value
    for values in itertools.product(*(range(domain_of(name).size) for name in hidden)):
        one = shown | {name: np.array([value]) for name, value in zip(hidden, values, strict=True)}
        cells.append([
            (node, int(np.atleast_1d(np.asarray(configuration(node, one)))[0]), int(one[node.name][0]))
            for node in network.nodes
        ])  # fmt: skip
    for place, each in enumerate(network.patterns):
        total = 0.0
        for row_of_cells in cells:
            product = 1.0
            for node, which, value in row_of_cells:
                product *= node.quanta[node.table_of[place, which]][value] / QUANTA
            total += product
        hours = Timeline(each.week, plan.start, plan.end).total
        factor = each.week.weights[hour_of_week(times[row : row + 1])[0]] / hours
        weights.append(total * factor * plan.counts[place] / plan.rows)
    abuse = sum(weight for weight, each in zip(weights, network.patterns, strict=True) if each.is_abuse)
    return float(abuse / sum(weights))
