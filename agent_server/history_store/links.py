"""Accounts that share a key (device, card, address, pseudonym) with the account of an order, and their orders."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.pages import PAGE_BYTES, Page
from agent_server.ledger.attempts import digests
from agent_server.ledger.queries import DECIDED, FULL_VIEW, Query, View
from agent_server.ledger.records import order_of
from agent_server.ledger.schema import ATTEMPTS, MEMORY, PAYLOADS
from contract.fields import PSEUDONYMS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import key_text

STEPS: Final = 2
LINK_FIELDS: Final = ("device_id", "card_id", *PSEUDONYMS, "ip_address")
"""Keys that accounts can share, the most telling first. A masked address is not one: too many accounts share it."""
SHARED_FIELDS: Final = ("user_id", *LINK_FIELDS)
MAX_ORDERS, MAX_ACCOUNTS, MAX_KEYS, MAX_ATTEMPTS = 100, 50, 60, 400
"""Limits: orders and accounts of an answer, accounts per step; keys and latest attempts that each step reads."""


@dataclass
class _LinkGraph:
    """What was found: accounts with their step, and the accounts of each key."""

    steps: dict[str, int]
    keys: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    orders: dict[str, dict[str, tuple[Any, Transaction]]] = field(default_factory=dict)
    """Orders by account and id, with the row of the latest decision."""
    too_many: set[str] = field(default_factory=set)
    truncated: bool = False


def links_of(transaction_id: str, view: View = FULL_VIEW) -> Query[pb.GetLinksResponse | None]:
    """Return a query for the links of an order; it returns None if there is no decision on it."""

    def read(connection: Connection) -> pb.GetLinksResponse | None:
        query = DECIDED.where(PAYLOADS.c.transaction_id == transaction_id)
        latest = view.restrict(query).order_by(PAYLOADS.c.sequence.desc())
        own = connection.execute(latest.limit(1)).first()
        if own is None:
            return None
        order = order_of(own)
        key = bytes(connection.execute(sa.select(MEMORY.c.key)).scalar_one())
        graph = _LinkGraph({order.user_id: 0})
        _add_rows(graph, [own])  # history may not have it
        _add_latest_orders(connection, key, graph, {order.user_id}, view)
        reached = {order.user_id}
        for step in range(1, STEPS + 1):
            reached = _find_new_accounts(connection, key, graph, reached, step, view)
        return _to_proto(order, graph, view)

    return read


def _add_latest_orders(connection: Connection, key: bytes, graph: _LinkGraph, users: Iterable[str], view: View) -> None:
    """Add the latest orders of some accounts, and so their keys."""
    wanted = [digests(key, {"": user})[""] for user in users]
    _add_rows(graph, _read_latest(connection, graph, ATTEMPTS.c.user_id.in_(wanted), view))


def _find_new_accounts(
    connection: Connection, key: bytes, graph: _LinkGraph, users: set[str], step: int, view: View
) -> set[str]:
    """Find new accounts that share a key with some; add their keys too, and return the accounts."""
    keys = [named for named, having in graph.keys.items() if having & users]
    graph.truncated |= len(keys) > MAX_KEYS
    by_field: dict[str, list[int | None]] = {}
    for name, value in keys[:MAX_KEYS]:
        by_field.setdefault(name, []).append(digests(key, {"": value})[""])
    for name in LINK_FIELDS:
        if values := by_field.get(name):
            _add_rows(graph, _read_latest(connection, graph, ATTEMPTS.c[name].in_(values), view))
    new = [user for user in graph.orders if user not in graph.steps and user not in graph.too_many]
    graph.too_many |= set(new[MAX_ACCOUNTS:])
    new = new[:MAX_ACCOUNTS]
    graph.steps |= dict.fromkeys(new, step)
    if new and step < STEPS:
        _add_latest_orders(connection, key, graph, new, view)
    return set(new)


def _read_latest(connection: Connection, graph: _LinkGraph, chosen: sa.ColumnElement[bool], view: View) -> list[Any]:
    """Return the latest decisions on the latest attempts of a key."""
    numbers = sa.select(ATTEMPTS.c.number).where(chosen).order_by(ATTEMPTS.c.at.desc(), ATTEMPTS.c.number.desc())
    found = list(connection.execute(numbers.limit(MAX_ATTEMPTS + 1)).scalars())
    graph.truncated |= len(found) > MAX_ATTEMPTS
    query = DECIDED.where(PAYLOADS.c.memory_number.in_(found[:MAX_ATTEMPTS]))
    return list(connection.execute(view.restrict(query).order_by(PAYLOADS.c.sequence)))


def _add_rows(graph: _LinkGraph, rows: Iterable[Any]) -> None:
    """Add orders and keys. Of each order the latest decision stays."""
    for row in rows:
        order = order_of(row)
        graph.orders.setdefault(order.user_id, {})[order.transaction_id] = (row, order)
        for name in LINK_FIELDS:
            if value := key_text(name, getattr(order, name)):
                graph.keys.setdefault((name, value), set()).add(order.user_id)


def _to_proto(order: Transaction, graph: _LinkGraph, view: View) -> pb.GetLinksResponse:
    answer = pb.GetLinksResponse()
    near: list[tuple[int, Any, list[str]]] = []
    for orders in graph.orders.values():
        for name, (row, other) in orders.items():
            shared = [one for one in SHARED_FIELDS if key_text(one, getattr(order, one)) == getattr(other, one)]
            if shared and name != order.transaction_id:
                near.append((other.timestamp.seconds, row, shared))
    near.sort(key=lambda one: (-one[0], -one[1].sequence))
    linked, links = Page[pb.LinkedOrder](MAX_ORDERS, PAGE_BYTES // 2), Page[pb.Link](None, PAGE_BYTES // 4)
    cut = len(near) > MAX_ORDERS
    for _, row, shared in near[:MAX_ORDERS]:
        if not linked.add(pb.LinkedOrder(record=view.record(row), shared=shared)):
            cut = True
            break
    answer.orders.extend(linked.messages)
    for user, step in graph.steps.items():
        rows = [row for row, _ in graph.orders[user].values()]
        latest = max(rows, key=lambda row: row.sequence)
        answer.accounts.add(
            user_id=user, step=step, orders=len(rows), transaction_id=latest.transaction_id,
            denied=sum(row.decision == pb.DECISION_DENY for row in rows),
        )  # fmt: skip
    cut = not all(map(links.add, _shared_keys(graph.keys, graph.steps))) or cut
    answer.links.extend(links.messages)
    answer.truncated = graph.truncated or bool(graph.too_many) or cut
    return answer


def _shared_keys(keys: Mapping[tuple[str, str], set[str]], steps: Mapping[str, int]) -> list[pb.Link]:
    """Return the keys that two accounts or more share, the nearest first."""
    found = []
    for (name, value), users in keys.items():
        shared_by = sorted(users & steps.keys(), key=lambda user: (steps[user], user))
        if len(shared_by) > 1:
            found.append((steps[shared_by[0]], pb.Link(field=name, value=value, user_ids=shared_by)))
    return [link for _, link in sorted(found, key=lambda one: (one[0], LINK_FIELDS.index(one[1].field), one[1].value))]
