"""Field dropout: copies of rows with fields removed, so that sparse requests are scored well.

A shop that sends eight fields must get as honest a probability as one that sends forty-four. Fields are removed, not
features, so that derived features change together with their inputs.
"""

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.examples import DOCUMENTED_ORDER
from contract.fields import FIELDS, REQUIRED

DOCUMENTED_FIELDS = tuple(name for name in DOCUMENTED_ORDER if name not in REQUIRED)
"""Fields of the documented example besides the required ones."""
_ALWAYS_EXAMPLE = 0.3


def drop_fields(table: pa.Table, rng: np.random.Generator, extras: Collection[str] = ()) -> pa.Table:
    """Return a copy with fields and `extras` missing at random, a random share in each row, or as in the example."""
    rows = table.num_rows
    share = rng.random(rows)
    example = rng.random(rows) < _ALWAYS_EXAMPLE
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if (name in FIELDS and name not in REQUIRED) or name in extras:
            keep = np.where(example, name in DOCUMENTED_FIELDS, rng.random(rows) < share)
            column = pc.if_else(pa.array(keep), column, pa.scalar(None, column.type))
        columns[name] = column
    return pa.table(columns)


def keep_only(table: pa.Table, fields: tuple[str, ...]) -> pa.Table:
    """Return the table without optional fields other than these."""
    return table.select(
        [name for name in table.column_names if name in fields or name in REQUIRED or name not in FIELDS]
    )
