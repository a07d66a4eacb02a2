"""Filling in what an order leaves out. What the shop says always wins. Pure."""

import json
from collections.abc import Iterable, Mapping

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.replay import Value


def with_completed(order: Transaction, values: Mapping[str, Value]) -> Transaction:
    """The order with values in the fields that it leaves out; the order itself where there are none."""
    if not values:
        return order
    whole = Transaction()
    whole.CopyFrom(order)
    for name, value in values.items():
        setattr(whole, name, value)
    return whole


def to_proto(values: Mapping[str, Value]) -> list[pb.CompletedField]:
    """The values as an answer tells them."""
    return [pb.CompletedField(name=name, value=json.dumps(value)) for name, value in values.items()]


def from_proto(completed: Iterable[pb.CompletedField]) -> dict[str, Value]:
    """The values that an answer tells."""
    return {field.name: json.loads(field.value) for field in completed}
