"""Comparison of a new model with the current one, on rows that the new one was not fitted on."""

from dataclasses import dataclass

import pyarrow as pa

from ml_server.evaluation.paired import interval, log_loss_interval
from ml_server.features.sources import Numbers
from ml_server.registry.bundle import Bundle
from ml_server.registry.table_scores import legitimacy
from ml_server.training.labels import abuse_of, optional_weights

Difference = tuple[float, float, float]
"""New minus current, and the bounds of its 95 % interval."""


@dataclass(frozen=True)
class Challenge:
    """Result of the comparison."""

    current: str
    rows: int
    log_loss: Difference
    average_precision: Difference

    @property
    def verdict(self) -> str:
        """Return the result by log-loss, which measures ranking and calibration together."""
        _, low, high = self.log_loss
        return "better" if high < 0 else "worse" if low > 0 else "neither better nor worse beyond noise"

    def lines(self) -> list[str]:
        """Return the result as lines of text."""
        result = [f"against {self.current} on the {self.rows:,} held-out rows, new minus current, 95 % interval:"]
        for name, values in (("log_loss", self.log_loss), ("average_precision", self.average_precision)):
            result.append("{:22} {:+.5f} ({:+.5f} to {:+.5f})".format(name, *values))
        return [*result, f"the new model is {self.verdict}"]


def challenge(current: Bundle, table: pa.Table, scores: Numbers) -> Challenge:
    """Compare on a table; `scores` are those of the new model, shape (rows,)."""
    is_abuse, weights = abuse_of(table), optional_weights(table)
    new, old = 1 - scores, 1 - legitimacy(current, table)
    return Challenge(
        current.version,
        table.num_rows,
        log_loss_interval(new, old, is_abuse, weights),
        interval([new], [old], is_abuse, weights),
    )
