"""Prometheus metrics of the scorer, besides its RPCs: scores, unknown fields, the model. They contain no values of
orders.

The share of orders that lack a field is vouch_unknown_fields_total / vouch_scored_orders_total.
"""

import threading
from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from ml_server.serving.reader import OPTIONAL
from runtime.telemetry.metrics import FLUSH_COUNT

SCORES = Histogram("vouch_legitimacy_score", "Returned scores", buckets=[index / 10 for index in range(1, 11)])
ORDERS = Counter("vouch_scored_orders", "Orders scored")
UNKNOWN = Counter("vouch_unknown_fields", "Orders that lacked a field, or an extra of the model, by name", ["field"])
MODEL = Gauge("vouch_model_info", "Workers that serve a model version", ["model_version"], multiprocess_mode="livesum")
DIFFERENCES = Histogram(
    "vouch_challenger_difference",
    "Distance between the challenger's score and the returned one",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
)
CHALLENGER_FAILURES = Counter("vouch_challenger_failures", "Orders that the challenger could not score")
SWAP_FAILURES = Counter("vouch_model_swap_failures", "Models that were rejected")

_UNKNOWN = {name: UNKNOWN.labels(name) for name in OPTIONAL}


def show_model(version: str, earlier: str) -> None:
    """Record which version this worker serves."""
    if earlier:
        MODEL.labels(earlier).set(0)
    MODEL.labels(version).set(1)


def watch_challenger(answered: float, challenged: float) -> None:
    """Record the distance between the challenger's score and the returned one."""
    DIFFERENCES.observe(abs(answered - challenged))


class ScoreMetrics:
    """Counts scores and missing fields of orders.

    A shop's orders have few patterns of missing fields. Counting a pattern takes one step, counting its fields forty.
    So patterns are counted, and converted to counts by field for every few dozen orders. The event loop counts single
    orders and a thread those of batches, under one lock.
    """

    def __init__(self) -> None:
        self._patterns: Tally[tuple[int, Sequence[str]]] = Tally()
        self._scores: list[float] = []
        self._lock = threading.Lock()

    def __call__(self, absent: int, score: float, unknown_extras: Sequence[str]) -> None:
        """Count an order; `unknown_extras` are extras of the model, so their number is bounded."""
        with self._lock:
            self._scores.append(score)
            self._patterns[absent, unknown_extras] += 1
            is_full = len(self._scores) >= FLUSH_COUNT
        if is_full:
            self.flush()

    def flush(self) -> None:
        """Update the metrics."""
        with self._lock:
            scores, self._scores = self._scores, []
            patterns, self._patterns = self._patterns, Tally()
        for score in scores:
            SCORES.observe(score)
        unknown: Tally[str] = Tally()
        for (absent, extras), orders in patterns.items():
            ORDERS.inc(orders)
            for name in (*(name for bit, name in enumerate(OPTIONAL) if absent >> bit & 1), *extras):
                unknown[name] += orders
        for name, orders in unknown.items():
            (_UNKNOWN.get(name) or UNKNOWN.labels(name)).inc(orders)
