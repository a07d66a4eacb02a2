"""What features get their values from: the fields of one message here, columns in `columns` and `batch`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

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
    """The fields that a message holds, by name, as Python values; absent ones are not there."""
    return {_NAMES[descriptor]: value for descriptor, value in transaction.ListFields()}


# Asking a descriptor for its name costs more than reading the field.
_NAMES: dict[Any, str] = {descriptor: descriptor.name for descriptor in Transaction.DESCRIPTOR.fields}
