"""Features with their learned rankings: the only conversion from orders to the model's numbers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np

from contract.extras import NUMBERS, TEXTS, WrongType, number_extra, text_extra
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.declarations import BEHAVIOUR, declare, ranked_feature
from ml_server.features.feature import Feature
from ml_server.features.operations import Value
from ml_server.features.sources import NAN, ColumnSource, Fields, Numbers, read_fields


@dataclass(frozen=True)
class Extra:
    """Extras that a model reads: columns of a table, `extra_numbers` and `extra_texts` of a message."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names: numbers, then texts."""
        return (*self.numeric, *self.categorical)

    def unread(self, transaction: Transaction) -> list[str]:
        """Return the paths of a message's extras that the model does not read."""
        numbers, texts = (
            sent.keys() - set(self.names) for sent in (transaction.extra_numbers, transaction.extra_texts)
        )
        return [*(f"{NUMBERS}[{name}]" for name in sorted(numbers)), *(f"{TEXTS}[{name}]" for name in sorted(texts))]

    def read(self, transaction: Transaction) -> tuple[dict[str, float | str], list[tuple[str, str]]]:
        """Return a message's extras in their types, and path and description of each one with an invalid value.

        Whole numbers are converted to text and numeric texts to numbers, since JSON, CSV and Parquet differ in this.
        """
        numbers, texts = transaction.extra_numbers, transaction.extra_texts
        found: dict[str, float | str] = {}
        wrong = []
        for names, read, other in ((self.numeric, number_extra, TEXTS), (self.categorical, text_extra, NUMBERS)):
            for name in names:
                try:
                    value = read(numbers, texts, name)
                except WrongType as error:
                    wrong.append((f"{other}[{name}]", str(error)))
                    continue
                if value is not None:
                    found[name] = value
        return found, wrong

    def features(self, rankings: Mapping[str, Mapping[str, float]], taken: Collection[str]) -> tuple[Feature, ...]:
        """Return a feature for each column, under its name unless that is `taken`."""
        features = (
            *(Feature(name, BEHAVIOUR, Value(name), f"{name} is {{value:g}}") for name in self.numeric),
            *(ranked_feature(name, BEHAVIOUR, rankings, f"{name} is {{text}}") for name in self.categorical),
        )
        return tuple(
            replace(feature, name=f"extra_{feature.name}") if feature.name in taken else feature for feature in features
        )


class FeatureSet:
    """Features with their learned rankings: the only conversion from orders to the model's numbers."""

    def __init__(self, rankings: Mapping[str, Mapping[str, float]], extra: Extra | None = None) -> None:
        self.rankings = rankings
        self.extra = extra or Extra()
        self._extra_names = self.extra.names
        declared = declare(rankings)
        self.features = (*declared, *self.extra.features(rankings, {feature.name for feature in declared}))
        self.names = tuple(feature.name for feature in self.features)
        # Plain values are read from the fields in one step; only the others are computed one by one.
        plain = [number for number, feature in enumerate(self.features) if isinstance(feature.operation, Value)]
        computed = [number for number in range(len(self.features)) if number not in plain]
        names = [self.features[number].operation.inputs[0] for number in plain]
        self._unknown = dict.fromkeys(names, NAN)
        self._plain = itemgetter(*names)
        self._computed = tuple(self.features[number].operation.value for number in computed)
        where = {number: index for index, number in enumerate([*plain, *computed])}
        self._in_order = itemgetter(*(where[number] for number in range(len(self.features))))

    def matrix(self, columns: ColumnSource) -> Numbers:
        """Return the features of a table, shape (rows, features), NaN for unknown."""
        return np.stack([feature.operation.column(columns) for feature in self.features], axis=1)

    def vector(self, transaction: Transaction) -> list[float]:
        """Return the features of a message, NaN for unknown."""
        return self.vector_of_fields(self.fields(transaction))

    def fields(self, transaction: Transaction) -> dict[str, Any]:
        """Return `read_fields`, plus the model's extras. One of a wrong type is absent; `Extra.read` reports it."""
        fields = read_fields(transaction)
        if self._extra_names:
            fields |= self.extra.read(transaction)[0]
        return fields

    def unknown_extras(self, fields: Fields) -> tuple[str, ...]:
        """Return the model's extras that are absent."""
        return tuple(name for name in self._extra_names if name not in fields)

    def vector_of_fields(self, fields: Fields) -> list[float]:
        """Return `vector` for fields that were read before."""
        found = [*self._plain({**self._unknown, **fields}), *[value(fields) for value in self._computed]]
        return list(self._in_order(found))
