"""Completes missing fields of an order. Values sent by the shop always win. Pure."""

import json
from collections.abc import Iterable, Mapping

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.counts import count_name, split_name
from history.replay import Value


def with_completed(order: Transaction, values: Mapping[str, Value]) -> Transaction:
    """Return a copy of the order with `values` set; the order itself if there are no values."""
    if not values:
        return order
    whole = Transaction()
    whole.CopyFrom(order)
    for name, value in values.items():
        setattr(whole, name, value)
    return whole


def to_proto(values: Mapping[str, Value]) -> list[pb.CompletedField]:
    """Return completed values as messages; `value` is JSON."""
    return [pb.CompletedField(name=name, value=json.dumps(value)) for name, value in values.items()]


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


def from_proto(completed: Iterable[pb.CompletedField]) -> dict[str, Value]:
    """Return completed values from messages."""
    return {field.name: json.loads(field.value) for field in completed}
