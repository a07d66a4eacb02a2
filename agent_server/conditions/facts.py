"""Reads the values that conditions use from an order and its score. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

from agent_server.conditions.language import AMOUNT_IN_BASE, PolicyCondition
from agent_server.conditions.presence import presence_variable
from contract.abuse_types import likeliest
from contract.fields import FIELDS, REQUIRED, Field
from contract.texts import NORMALISED
from enrichment.money import BASE_CURRENCY, amount_in_base
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

Lists = Mapping[str, frozenset[str]]
_NUL = "\N{SYMBOL FOR NULL}"
FactReader = Callable[[Transaction, PredictResponse | None], dict[str, Any]]


def fact_reader(conditions: Iterable[PolicyCondition], lists: Lists, base_currency: str = BASE_CURRENCY) -> FactReader:
    """Return a function that reads the known values, by name, that conditions need; strings are normalised."""
    used = list(conditions)
    names = sorted(frozenset().union(*(condition.names for condition in used)))
    presence = sorted(frozenset().union(*(condition.presence for condition in used)))
    used_names = {*names, *presence}
    of_order = sorted(name for name in used_names if name.startswith("order.") and name != AMOUNT_IN_BASE)
    fields = [FIELDS[name.removeprefix("order.")] for name in of_order]
    types = [name.removeprefix("abuse.") for name in names if name.startswith("abuse.")]
    list_lookups = sorted(frozenset().union(*(condition.list_lookups for condition in used)))

    def value_of(order: Transaction, field: Field) -> Any:
        value = getattr(order, field.name)
        if field.kind == "enum":
            return field.names.get(value)
        if field.kind == "time":
            return value.ToDatetime(tzinfo=UTC)
        normalise = NORMALISED.get(field.name)
        value = normalise(value) if normalise else value
        # The CEL library ends a string at its first NUL: "trusted\0, not really" would become "trusted".
        return value.replace("\0", _NUL) if isinstance(value, str) else value

    def read(order: Transaction, prediction: PredictResponse | None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in fields:
            if field.name in REQUIRED or order.HasField(field.name):
                value = value_of(order, field)
                if value not in (None, ""):
                    values[f"order.{field.name}"] = value
        if AMOUNT_IN_BASE in used_names and (amount := amount_in_base(order, base_currency)) is not None:
            values[AMOUNT_IN_BASE] = amount
        for name, listed in list_lookups:
            value = values.get(f"order.{name}")
            entries = values.setdefault(f"lists.{listed}", [])
            if value in lists[listed]:
                entries.append(value)  # only the entry that can match: passing a long list would cost milliseconds
        for name in presence:
            known = name in values if name.startswith("order.") else prediction is not None
            values[presence_variable(name)] = known
        if prediction is not None:
            values["score"] = prediction.legitimacy_score
            for name in types:
                values[f"abuse.{name}"] = getattr(prediction.abuse_type_scores, name)
            if "likely_abuse" in names:
                values["likely_abuse"] = likeliest(prediction.abuse_type_scores)
        return values

    return read
