"""Labels of a table, in the form that training needs."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.abuse_types import ABUSE_TYPES, ALL_TYPES, HONEST_TYPES
from contract.fields import LABEL_WEIGHT
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.model.log_odds import ABUSE, LogOdds

_ENDS = (0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3)
"""Shares of the rows that are tested as the newest ones."""
_MIN_ROWS = 5
"""Minimum number of newest rows."""
_SURE, _JUMP = 5.0, 2.0
"""Minimum difference, in standard errors and as a ratio of the odds of abuse, to avoid false alarms."""


class TrainingError(ValueError):
    """A table on which no model can be trained; the message gives the reason."""


def prior_shift(table: pa.Table, prevalence: float | None) -> float:
    """Return the correction of the log-odds of legitimacy, if the shop's share of abuse differs from the training
    data's.

    Saerens, Latinne, Decaestecker: Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002.
    """
    if prevalence is None:
        return 0.0
    rate = float(np.average(abuse_of(table), weights=weights_of(table)))
    return math.log((1 - prevalence) / prevalence) - math.log((1 - rate) / rate)


def soft_labels(table: pa.Table) -> Numbers:
    """Return the exact probabilities of abuse, shape (rows,). Raises TrainingError if the table has none."""
    if "abuse_confidence" not in table.column_names or table.column("abuse_confidence").null_count:
        raise TrainingError("--target soft needs abuse_confidence in every row")
    return TableColumns(table).number("abuse_confidence")


def abuse_of(table: pa.Table) -> Numbers:
    """Return 1 for abuse, 0 for honest orders, shape (rows,). Raises TrainingError if a label is missing."""
    if "is_abuse" not in table.column_names:
        raise TrainingError("column is_abuse is missing; training needs labels")
    label = table.column("is_abuse")
    if label.null_count:
        raise TrainingError(
            f"column is_abuse has {label.null_count:,} empty values; training needs a label in each row"
        )
    result: Numbers = label.combine_chunks().cast(pa.uint8()).to_numpy(zero_copy_only=False).astype(np.float64)
    return result


def mostly_abuse(table: pa.Table) -> str | None:
    """Return a warning if most rows are abuse, as they are if a label is read the wrong way round; else None."""
    share = float(abuse_of(table).mean())
    if share <= 0.5:
        return None
    return f"warning: {share:.0%} of the rows are abuse; check that the label is not the wrong way round"


def rate_jump(table: pa.Table) -> str | None:
    """Return a warning if the newest rows of a table ordered by time have another share of abuse than earlier ones,
    else None.

    That happens if labels of recent orders are incomplete: chargebacks arrive before or after it is known which orders
    are good. Newest parts of several lengths are compared, by the usual test of two proportions.
    """
    is_abuse, rows = abuse_of(table), table.num_rows
    found, largest = None, _SURE
    for share in _ENDS:
        newest = int(rows * share)
        if newest < _MIN_ROWS:
            continue
        before, after = is_abuse[:-newest], is_abuse[-newest:]
        rates, mean = (float(before.mean()), float(after.mean())), float(is_abuse.mean())
        error = math.sqrt(mean * (1 - mean) * (1 / len(before) + 1 / newest))
        odds = [(rate + 1 / rows) / (1 - rate + 1 / rows) for rate in rates]
        distance = abs(rates[1] - rates[0]) / error if error else 0.0
        if distance > largest and max(odds) >= _JUMP * min(odds):
            found, largest = (newest, *rates), distance
    if found is None:
        return None
    newest, earlier, later = found
    since = table.column("timestamp")[rows - newest].as_py()
    return (
        f"warning: the newest {newest:,} of {rows:,} rows, from {since:%Y-%m-%d} on, are {later:.1%} abuse, those before "
        f"{earlier:.1%}: labels of recent orders may be incomplete, and metrics of the held-out rows misleading; export "
        "labels with --matured, or leave out the newest rows"
    )


def weights_of(table: pa.Table) -> Numbers:
    """Return how many orders each row represents, shape (rows,), scaled to a mean of 1. Raises TrainingError."""
    if LABEL_WEIGHT not in table.column_names:
        return np.ones(table.num_rows)
    weights = np.nan_to_num(TableColumns(table).number(LABEL_WEIGHT), nan=1.0)
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise TrainingError(f"column {LABEL_WEIGHT} has values that are not above 0")
    result: Numbers = weights / weights.mean()
    return result


def optional_weights(table: pa.Table) -> Numbers | None:
    """Return the weights of a table's rows; None if each counts once. Raises TrainingError."""
    return weights_of(table) if LABEL_WEIGHT in table.column_names else None


def classes_of(table: pa.Table) -> tuple[str, ...]:
    """Return the classes of the labels: by abuse type if it agrees with is_abuse, else honest and abuse."""
    if "abuse_type" in table.column_names and table.column("abuse_type").null_count == 0:
        values = set(pc.unique(table.column("abuse_type")).to_pylist())
        is_type = pc.is_in(table.column("abuse_type"), pa.array(ABUSE_TYPES))
        if values <= set(ALL_TYPES) and pc.all(pc.equal(is_type, table.column("is_abuse"))).as_py():
            return tuple(name for name in ALL_TYPES if name in values)
    return HONEST_TYPES[0], ABUSE


def targets(table: pa.Table, log_odds: LogOdds) -> Numbers:
    """Return the index of each row's class among the classes, shape (rows,)."""
    if ABUSE in log_odds.classes:
        return abuse_of(table)
    places = pc.index_in(table.column("abuse_type").combine_chunks(), value_set=pa.array(log_odds.classes))
    result: Numbers = places.to_numpy(zero_copy_only=False).astype(np.float64)
    return result
