"""Inputs of features: the fields of a message (here), or columns (`table_columns`, `message_columns`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.extras import NUMBERS, TEXTS
from contract.texts import NORMALISED
from generated.vouch.v1.transaction_pb2 import Transaction

Numbers = NDArray[np.float64]
Fields = Mapping[str, Any]
NAN = float("nan")


@dataclass(frozen=True)
class Text:
    """A column of text: the code of each row (-1 for unknown) and the text of each code."""

    codes: NDArray[np.int64]
    values: list[str]


class ColumnSource(Protocol):
    """Many orders as columns, from a table (`table_columns`) or a batch of messages (`message_columns`)."""

    def number(self, name: str) -> Numbers:
        """Return numbers, flags (0 and 1), names (their enum numbers) and times (seconds since 1970), shape (rows,)."""

    def text(self, name: str) -> Text:
        """Return a column of text."""


def read_fields(transaction: Transaction) -> dict[str, Any]:
    """Return the present fields of a message by name, as Python values with normalised texts.

    Extras are not included: which ones are read depends on the model (`FeatureSet.fields`).
    """
    fields = {_NAMES[descriptor]: value for descriptor, value in transaction.ListFields()}
    fields.pop(NUMBERS, None)
    fields.pop(TEXTS, None)
    for name, normalise in _NORMALISED:
        if name in fields:
            fields[name] = normalise(fields[name])
            if not fields[name]:
                del fields[name]
    return fields


def normalise_column(text: Text, normalise: Callable[[str], str]) -> Text:
    """Return a column of text after normalisation, with one code for each distinct text."""
    known: dict[str, int] = {"": -1}
    mapped = [known.setdefault(normalise(value), len(known) - 1) for value in text.values]
    codes = np.array([*mapped, -1], dtype=np.int64)[text.codes]
    return Text(codes, list(known)[1:])


_NORMALISED = tuple(NORMALISED.items())
# A descriptor's name costs more to read than the field.
_NAMES: dict[Any, str] = {descriptor: descriptor.name for descriptor in Transaction.DESCRIPTOR.fields}
