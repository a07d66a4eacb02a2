"""Reads the values that conditions use from an order and its score. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

from agent_server.conditions.extras import TEXT, extra_name, is_extra
from agent_server.conditions.language import PolicyCondition
from agent_server.conditions.presence import presence_variable
from contract.abuse_types import likeliest
from contract.extras import WrongType, number_extra, text_extra
from contract.fields import FIELDS, REQUIRED, Field
from contract.texts import NORMALISED
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

Lists = Mapping[str, frozenset[str]]
_NUL = "\N{SYMBOL FOR NULL}"
FactReader = Callable[[Transaction, PredictResponse | None], dict[str, Any]]


def fact_reader(conditions: Iterable[PolicyCondition], lists: Lists) -> FactReader:
    """Return a function that reads the known values, by name, that conditions need; strings are normalised."""
    used = list(conditions)
    names = sorted(frozenset().union(*(condition.names for condition in used)))
    presence = sorted(frozenset().union(*(condition.presence for condition in used)))
    read_names = sorted({*names, *presence})
    extras = [name for name in read_names if is_extra(name)]
    fields = [
        FIELDS[name.removeprefix("order.")] for name in read_names if name.startswith("order.") and not is_extra(name)
    ]
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
        for name in extras:
            value = _extra(order, name)
            if value is not None:
                values[name] = value
        for name, listed in list_lookups:
            value = values.get(f"order.{name}")
            entries = values.setdefault(f"lists.{listed}", [])
            if value in lists[listed]:
                entries.append(value)  # only the entry that can match: passing a long list would cost milliseconds
        for name in presence:
            known = name in values if name.startswith("order.") else prediction is not None
            if is_extra(name):
                known = extra_name(name) in order.extra_numbers or bool(
                    order.extra_texts.get(extra_name(name), "").strip()
                )
            values[presence_variable(name)] = known
        if prediction is not None:
            values["score"] = prediction.legitimacy_score
            for name in types:
                values[f"abuse.{name}"] = getattr(prediction.abuse_type_scores, name)
            if "likely_abuse" in names:
                values["likely_abuse"] = likeliest(prediction.abuse_type_scores)
        return values

    return read


def _extra(order: Transaction, name: str) -> float | str | None:
    """Return an extra as the kind that a condition reads; None if it is unknown or cannot be that kind."""
    read = text_extra if name.startswith(TEXT) else number_extra
    try:
        value = read(order.extra_numbers, order.extra_texts, extra_name(name))
    except WrongType:
        return None
    return value.replace("\0", _NUL) if isinstance(value, str) else value
