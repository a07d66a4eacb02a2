"""Fields of many messages as columns, so that a batch is computed like a table."""

from collections.abc import Sequence

import numpy as np

from contract.fields import FIELDS
from ml_server.features.sources import NAN, Fields, Numbers, Text


class MessageColumns:
    """Fields of many messages as columns: a ColumnSource without Arrow."""

    def __init__(self, messages: Sequence[Fields]) -> None:
        self.rows = len(messages)
        self._messages = messages
        self._numbers: dict[str, Numbers] = {}
        self._texts: dict[str, Text] = {}

    def number(self, name: str) -> Numbers:
        """Return numbers, flags, names and times (whole seconds since 1970), NaN for unknown, shape (rows,)."""
        if name not in self._numbers:
            if name in FIELDS and FIELDS[name].kind == "time":
                values = [fields[name].seconds if name in fields else NAN for fields in self._messages]
            else:
                values = [fields.get(name, NAN) for fields in self._messages]
            self._numbers[name] = np.array(values, dtype=np.float64)
        return self._numbers[name]

    def text(self, name: str) -> Text:
        """Return a column of text."""
        if name not in self._texts:
            known: dict[str, int] = {}
            codes = [known.setdefault(fields[name], len(known)) if name in fields else -1 for fields in self._messages]
            self._texts[name] = Text(np.array(codes, dtype=np.int64), list(known))
        return self._texts[name]
