"""Columns of files as Arrow types, for writing and for reading."""

from typing import Final

import pyarrow as pa

from contract.fields import FIELDS, LABEL_WEIGHT, LABELS, POLICY_ONLY, PSEUDONYMS, REQUIRED

_WRITTEN = {
    "text": pa.string(),
    "number": pa.float64(),
    "count": pa.int32(),
    "flag": pa.bool_(),
    "time": pa.timestamp("s"),
    "enum": pa.string(),
}
# pandas writes whole numbers as 3.0 if a value is absent; they are still whole numbers.
_READ = _WRITTEN | {"count": pa.float64()}
_LABEL_TYPES = dict(zip(LABELS, (pa.bool_(), pa.string(), pa.float64(), pa.string()), strict=True))

WRITTEN_TYPES: Final[dict[str, pa.DataType]] = {
    name: _WRITTEN[field.kind] for name, field in FIELDS.items()
} | _LABEL_TYPES
"""Type of each column on writing: every field of the contract and every label, including those not generated."""
_NOT_GENERATED = (
    *("card_id", *PSEUDONYMS),  # only have a meaning if the same value appears again
    *POLICY_ONLY,
    "exchange_rate",  # shops may send their own
)
FILE_SCHEMA: Final = pa.schema(
    [
        pa.field(name, _WRITTEN[field.kind], nullable=name not in REQUIRED)
        for name, field in FIELDS.items()
        if name not in _NOT_GENERATED
    ]
    + [pa.field(name, kind, nullable=False) for name, kind in _LABEL_TYPES.items()]
)
"""Columns that `vouch generate` writes: the fields of the contract, then the labels."""
REQUIRED_COLUMNS: Final = tuple(field.name for field in FILE_SCHEMA if not field.nullable)
TYPES: Final[dict[str, pa.DataType]] = {name: _READ[field.kind] for name, field in FIELDS.items()} | (
    _LABEL_TYPES | {LABEL_WEIGHT: pa.float64()}
)
"""Type of each column on reading."""
