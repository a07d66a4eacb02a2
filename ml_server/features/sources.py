"""What features get their values from: the fields of one message here, columns in `columns` and `batch`."""

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
    """A column of text: the code of each row (-1 where unknown) and the text of each code."""

    codes: NDArray[np.int64]
    values: list[str]


class ColumnSource(Protocol):
    """Many orders as columns, of a table (`columns`) or of a batch of messages (`batch`)."""

    def number(self, name: str) -> Numbers:
        """Numbers, flags (0 and 1), names (their enum numbers) and times (seconds since 1970), shape (rows,)."""

    def text(self, name: str) -> Text:
        """A column of text."""


def fields_of(transaction: Transaction) -> dict[str, Any]:
    """The fields that a message holds, by name, as Python values, texts normalised; absent ones are not there.

    Without its extras: which of them are read a model knows (`FeatureSet.fields`).
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


def normalised(text: Text, normalise: Callable[[str], str]) -> Text:
    """A column of text with one code for each text that is left once all are normalised."""
    known: dict[str, int] = {"": -1}
    mapped = [known.setdefault(normalise(value), len(known) - 1) for value in text.values]
    codes = np.array([*mapped, -1], dtype=np.int64)[text.codes]
    return Text(codes, list(known)[1:])


_NORMALISED = tuple(NORMALISED.items())
# Asking a descriptor for its name costs more than reading the field.
_NAMES: dict[Any, str] = {descriptor: descriptor.name for descriptor in Transaction.DESCRIPTOR.fields}
