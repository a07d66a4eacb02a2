"""Whether deeper trees would be better than tables: one of each, fitted on the same rows, compared on rows that neither saw."""

from dataclasses import dataclass

import lightgbm as lgb

from ml_server.evaluation.paired import interval
from ml_server.features.sources import Numbers
from ml_server.model.log_odds import LogOdds
from ml_server.registry.bundle import TREES
from ml_server.training.fitting.merged import merged, raw_scores
from ml_server.training.fitting.rows import Rows


@dataclass(frozen=True)
class Gain:
    """How much higher the average precision of deeper trees is, with its 95 % interval."""

    difference: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        """Whether it is more than noise."""
        return self.low > 0

    def sentence(self, form: str) -> str:
        """What it means for who trains, where `form` is what is fitted now."""
        interval = f"average precision {self.difference:+.4f} ({self.low:+.4f} to {self.high:+.4f})"
        if not self.is_real:
            return f"deeper trees would be no better than tables by more than noise: {interval}"
        if form == TREES:
            return f"deeper trees are better than tables and are taken: {interval}"
        return f"deeper trees would be better than tables: {interval}; train with --form trees to have them"

    def metrics(self) -> dict[str, float]:
        """For the model's page."""
        return {"trees_gain": self.difference, "trees_gain_low": self.low, "trees_gain_high": self.high}


def gain(
    deep: tuple[lgb.Booster, int],
    flat: tuple[lgb.Booster, int],
    rows: Rows,
    held_out: Numbers,
    is_abuse: Numbers,
    log_odds: LogOdds,
) -> Gain:
    """Compare two boosters over the codes of `rows`, each with its rounds, on held-out rows of features and their labels."""
    deep_scores, flat_scores = (
        -log_odds.of_rows(raw_scores(merged([booster], rows.cuts, rounds).predict, held_out))
        for booster, rounds in (deep, flat)
    )
    return Gain(*interval([deep_scores], [flat_scores], is_abuse))
