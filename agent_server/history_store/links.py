"""Who shares a device, an address or a card with the account of an order, and what else was ordered with these."""

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
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import key_text

STEPS: Final = 2
LINKING: Final = ("device_id", "card_id", "ip_address")
"""Keys that more than one account may have, those first that say most. A masked address is none: it is of too many."""
SHARED: Final = ("user_id", *LINKING)
MOST_ORDERS, MOST_ACCOUNTS, MOST_KEYS, MOST_ATTEMPTS = 100, 50, 60, 400
"""So much is told: orders, and accounts of each step. Of so many keys and of the latest attempts is it made in each step."""


@dataclass
class _Web:
    """What was found: accounts by their step, and the accounts of each key."""

    steps: dict[str, int]
    keys: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    orders: dict[str, dict[str, tuple[Any, Transaction]]] = field(default_factory=dict)
    """By account, by its id: each order, and the row of the latest decision on it."""
    too_many: set[str] = field(default_factory=set)
    truncated: bool = False


def links_of(transaction_id: str, view: View = FULL_VIEW) -> Query[pb.GetLinksResponse | None]:
    """What is linked to an order; None where there is no decision on it."""

    def read(connection: Connection) -> pb.GetLinksResponse | None:
        query = DECIDED.where(PAYLOADS.c.transaction_id == transaction_id)
        latest = view.restrict(query).order_by(PAYLOADS.c.sequence.desc())
        own = connection.execute(latest.limit(1)).first()
        if own is None:
            return None
        order = order_of(own)
        key = bytes(connection.execute(sa.select(MEMORY.c.key)).scalar_one())
        web = _Web({order.user_id: 0})
        _take(web, [own])  # it may not be remembered
        _gather(connection, key, web, {order.user_id}, view)
        reached = {order.user_id}
        for step in range(1, STEPS + 1):
            reached = _spread(connection, key, web, reached, step, view)
        return _told(order, web, view)

    return read


def _gather(connection: Connection, key: bytes, web: _Web, users: Iterable[str], view: View) -> None:
    """The latest orders of some accounts, and so their keys."""
    wanted = [digests(key, {"": user})[""] for user in users]
    _take(web, _rows(connection, web, ATTEMPTS.c.user_id.in_(wanted), view))


def _spread(connection: Connection, key: bytes, web: _Web, users: set[str], step: int, view: View) -> set[str]:
    """Accounts that share a key with some; they are new ones, and their other keys are gathered too."""
    keys = [named for named, having in web.keys.items() if having & users]
    web.truncated |= len(keys) > MOST_KEYS
    by_field: dict[str, list[int | None]] = {}
    for name, value in keys[:MOST_KEYS]:
        by_field.setdefault(name, []).append(digests(key, {"": value})[""])
    for name in LINKING:
        if values := by_field.get(name):
            _take(web, _rows(connection, web, ATTEMPTS.c[name].in_(values), view))
    new = [user for user in web.orders if user not in web.steps and user not in web.too_many]
    web.too_many |= set(new[MOST_ACCOUNTS:])
    new = new[:MOST_ACCOUNTS]
    web.steps |= dict.fromkeys(new, step)
    if new and step < STEPS:
        _gather(connection, key, web, new, view)
    return set(new)


def _rows(connection: Connection, web: _Web, chosen: sa.ColumnElement[bool], view: View) -> list[Any]:
    """The latest decisions on the latest attempts of a key."""
    numbers = sa.select(ATTEMPTS.c.number).where(chosen).order_by(ATTEMPTS.c.at.desc(), ATTEMPTS.c.number.desc())
    found = list(connection.execute(numbers.limit(MOST_ATTEMPTS + 1)).scalars())
    web.truncated |= len(found) > MOST_ATTEMPTS
    query = DECIDED.where(PAYLOADS.c.memory_number.in_(found[:MOST_ATTEMPTS]))
    return list(connection.execute(view.restrict(query).order_by(PAYLOADS.c.sequence)))


def _take(web: _Web, rows: Iterable[Any]) -> None:
    """Note orders and keys; of an order the latest decision stays."""
    for row in rows:
        order = order_of(row)
        web.orders.setdefault(order.user_id, {})[order.transaction_id] = (row, order)
        for name in LINKING:
            if value := key_text(name, getattr(order, name)):
                web.keys.setdefault((name, value), set()).add(order.user_id)


def _told(order: Transaction, web: _Web, view: View) -> pb.GetLinksResponse:
    answer = pb.GetLinksResponse()
    near: list[tuple[int, Any, list[str]]] = []
    for orders in web.orders.values():
        for name, (row, other) in orders.items():
            shared = [one for one in SHARED if key_text(one, getattr(order, one)) == getattr(other, one)]
            if shared and name != order.transaction_id:
                near.append((other.timestamp.seconds, row, shared))
    near.sort(key=lambda one: (-one[0], -one[1].sequence))
    linked, links = Page[pb.LinkedOrder](MOST_ORDERS, PAGE_BYTES // 2), Page[pb.Link](None, PAGE_BYTES // 4)
    cut = len(near) > MOST_ORDERS
    for _, row, shared in near[:MOST_ORDERS]:
        if not linked.add(pb.LinkedOrder(record=view.record(row), shared=shared)):
            cut = True
            break
    answer.orders.extend(linked.messages)
    for user, step in web.steps.items():
        rows = [row for row, _ in web.orders[user].values()]
        latest = max(rows, key=lambda row: row.sequence)
        answer.accounts.add(
            user_id=user, step=step, orders=len(rows), transaction_id=latest.transaction_id,
            denied=sum(row.decision == pb.DECISION_DENY for row in rows),
        )  # fmt: skip
    cut = not all(map(links.add, _links(web.keys, web.steps))) or cut
    answer.links.extend(links.messages)
    answer.truncated = web.truncated or bool(web.too_many) or cut
    return answer


def _links(keys: Mapping[tuple[str, str], set[str]], steps: Mapping[str, int]) -> list[pb.Link]:
    """Keys that two accounts or more have, the nearest first."""
    found = []
    for (name, value), users in keys.items():
        told = sorted(users & steps.keys(), key=lambda user: (steps[user], user))
        if len(told) > 1:
            found.append((steps[told[0]], pb.Link(field=name, value=value, user_ids=told)))
    return [link for _, link in sorted(found, key=lambda one: (one[0], LINKING.index(one[1].field), one[1].value))]
