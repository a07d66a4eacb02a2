"""What a table's labels say, as training needs it."""

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
"""Shares of the rows that are looked at as the newest ones."""
_FEWEST = 5
"""Rows that an end must have."""
_SURE, _JUMP = 5.0, 2.0
"""Standard errors by which, and times by which the odds of abuse must differ, so that a warning is no false alarm."""


class TrainingError(ValueError):
    """A table that no model can be trained on; the message says why."""


def prior_shift(table: pa.Table, prevalence: float | None) -> float:
    """What is added to the log-odds of legitimacy where the shop has another share of abuse than the training data.

    Saerens, Latinne, Decaestecker: Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002.
    """
    if prevalence is None:
        return 0.0
    rate = float(np.average(abuse_of(table), weights=weights_of(table)))
    return math.log((1 - prevalence) / prevalence) - math.log((1 - rate) / rate)


def soft_labels(table: pa.Table) -> Numbers:
    """The exact probabilities of abuse, shape (rows,). Raises TrainingError where the table has none."""
    if "abuse_confidence" not in table.column_names or table.column("abuse_confidence").null_count:
        raise TrainingError("--target soft needs abuse_confidence in every row")
    return TableColumns(table).number("abuse_confidence")


def abuse_of(table: pa.Table) -> Numbers:
    """1 for abuse, 0 for honest orders, shape (rows,)."""
    if "is_abuse" not in table.column_names:
        raise TrainingError("column is_abuse is missing: training needs labels")
    label = table.column("is_abuse")
    if label.null_count:
        raise TrainingError(
            f"column is_abuse has {label.null_count:,} empty values: training needs a label in each row"
        )
    result: Numbers = label.combine_chunks().cast(pa.uint8()).to_numpy(zero_copy_only=False).astype(np.float64)
    return result


def rate_jump(table: pa.Table) -> str | None:
    """A warning where the newest rows of a table in order of time have another share of abuse than the rows before; else None.

    So it is where labels of young orders are not complete: chargebacks arrive before it is known which orders are good, or
    after. Ends of several lengths are compared, by the usual test of two proportions.
    """
    is_abuse, rows = abuse_of(table), table.num_rows
    found, largest = None, _SURE
    for share in _ENDS:
        newest = int(rows * share)
        if newest < _FEWEST:
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
        f"{earlier:.1%}: labels of young orders may not be complete, and figures of the held-out rows would mislead; export "
        "labels with --matured, or leave the newest rows out"
    )


def weights_of(table: pa.Table) -> Numbers:
    """How many orders each row stands for, shape (rows,), scaled to a mean of 1. Raises TrainingError."""
    if LABEL_WEIGHT not in table.column_names:
        return np.ones(table.num_rows)
    weights = np.nan_to_num(TableColumns(table).number(LABEL_WEIGHT), nan=1.0)
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise TrainingError(f"column {LABEL_WEIGHT} has values that are not above 0")
    result: Numbers = weights / weights.mean()
    return result


def counted(table: pa.Table) -> Numbers | None:
    """The weights of a table's rows; None where each counts once. Raises TrainingError."""
    return weights_of(table) if LABEL_WEIGHT in table.column_names else None


def classes_of(table: pa.Table) -> tuple[str, ...]:
    """The classes that the labels tell apart: by abuse type where that agrees with is_abuse, else honest and abuse."""
    if "abuse_type" in table.column_names and table.column("abuse_type").null_count == 0:
        values = set(pc.unique(table.column("abuse_type")).to_pylist())
        is_type = pc.is_in(table.column("abuse_type"), pa.array(ABUSE_TYPES))
        if values <= set(ALL_TYPES) and pc.all(pc.equal(is_type, table.column("is_abuse"))).as_py():
            return tuple(name for name in ALL_TYPES if name in values)
    return HONEST_TYPES[0], ABUSE


def targets(table: pa.Table, log_odds: LogOdds) -> Numbers:
    """Place of each row's class among the classes, shape (rows,)."""
    if ABUSE in log_odds.classes:
        return abuse_of(table)
    places = pc.index_in(table.column("abuse_type").combine_chunks(), value_set=pa.array(log_odds.classes))
    result: Numbers = places.to_numpy(zero_copy_only=False).astype(np.float64)
    return result
