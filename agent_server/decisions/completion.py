"""Completes missing fields of an order. Values sent by the shop always win. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from contract.fields import FIELDS
from enrichment.derive import DerivedValue
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.counts import count_name, split_name
from history.replay import Value

HISTORY: Final = "history"
"""Source of values from history."""
CompletedValue = Value | str
"""A value of a field: a number, a flag, a text, or an enum by its short name or its number."""


def combine(history: Mapping[str, Value], derived: Mapping[str, DerivedValue]) -> dict[str, pb.CompletedField]:
    """Return completed fields by name, from history and from other fields of the order."""
    found = {name: to_proto(name, value, HISTORY) for name, value in history.items()}
    return found | {name: to_proto(name, one.value, one.source) for name, one in derived.items()}


def to_proto(name: str, value: CompletedValue, source: str) -> pb.CompletedField:
    """Return a completed value as a message; `value` is JSON."""
    if FIELDS[name].kind == "enum" and isinstance(value, int):
        value = FIELDS[name].names[value]
    return pb.CompletedField(name=name, value=json.dumps(value), source=source)


def history_values(completed: Iterable[pb.CompletedField]) -> dict[str, Value]:
    """Return the values that came from history. Earlier versions left the source empty."""
    return {field.name: json.loads(field.value) for field in completed if field.source in (HISTORY, "")}


def from_proto(completed: Iterable[pb.CompletedField]) -> dict[str, CompletedValue]:
    """Return completed values from messages."""
    return {field.name: json.loads(field.value) for field in completed}


def with_completed(order: Transaction, completed: Iterable[pb.CompletedField]) -> Transaction:
    """Return a copy of the order with completed fields set; the order itself if there are none."""
    values = from_proto(completed)
    if not values:
        return order
    whole = Transaction()
    whole.CopyFrom(order)
    for name, value in values.items():
        setattr(whole, name, FIELDS[name].numbers[value] if isinstance(value, str) and FIELDS[name].numbers else value)
    return whole


def counts_to_proto(counts: Mapping[str, int]) -> list[pb.HistoryCount]:
    """Return counts of history as messages."""
    messages = []
    for name, count in counts.items():
        event, key, seconds = split_name(name)
        messages.append(pb.HistoryCount(event=event, key=key, window_seconds=seconds, count=count))
    return messages


def counts_from_proto(counts: Iterable[pb.HistoryCount]) -> dict[str, int]:
    """Return counts of history from messages."""
    return {count_name(one.event, one.key, one.window_seconds): one.count for one in counts}
