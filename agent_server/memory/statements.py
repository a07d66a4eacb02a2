"""The definitions as SQL: one statement a key, made out of the declarations."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from agent_server.ledger.schema import ATTEMPTS
from history.definitions import BY_KEY, LATEST, Definition, Key, Kind

_AMOUNTS = ("_units", "_number")


def _statement(key: Key) -> sa.Select[Any]:
    """All fields of a key over its latest attempts up to a time; `number` is that of the order itself."""
    name: Any = sa.bindparam("name")
    at: Any = sa.bindparam("at", type_=sa.BigInteger)
    number: Any = sa.bindparam("number", type_=sa.BigInteger)
    past = [ATTEMPTS.c[key.value] == name, ATTEMPTS.c.at <= at]
    needed = {definition.of for definition in BY_KEY[key]} - {""}
    latest = (
        sa.select(ATTEMPTS.c.number, ATTEMPTS.c.at, *(ATTEMPTS.c[other] for other in sorted(needed)))
        .add_columns(*((ATTEMPTS.c.counts, ATTEMPTS.c.amount) if key is Key.USER else ()))
        .where(*past)
        .order_by(ATTEMPTS.c.at.desc(), ATTEMPTS.c.number.desc())
        .limit(LATEST)
        .subquery()
    )
    columns: list[Any] = []
    for definition in BY_KEY[key]:
        if definition.kind is Kind.DAYS_SINCE_FIRST:
            first = sa.select(ATTEMPTS.c.at).where(*past, ATTEMPTS.c.counts, ATTEMPTS.c.number != number)
            columns.append(first.order_by(ATTEMPTS.c.at).limit(1).scalar_subquery().label(definition.name))
        else:
            columns += _aggregates(definition, latest, number, at)
    return sa.select(*columns).select_from(latest)


def _aggregates(definition: Definition, latest: Any, number: Any, at: Any) -> list[Any]:
    wanted = []
    if definition.window is not None:
        wanted.append(latest.c.at >= at - definition.window)
    if not definition.itself:
        wanted.append(latest.c.number != number)
    if definition.kind in (Kind.ORDERS, Kind.MEAN_AMOUNT):
        wanted.append(latest.c.counts)
    there = sa.and_(*wanted)
    if definition.kind is Kind.DIFFERENT:
        return [sa.func.count(sa.distinct(sa.case((there, latest.c[definition.of])))).label(definition.name)]
    if definition.kind is Kind.NEW:
        seen = sa.and_(there, latest.c[definition.of] == sa.bindparam(definition.of))
        return [sa.func.count(sa.case((seen, 1))).label(definition.name)]
    if definition.kind is Kind.MEAN_AMOUNT:
        return [
            sa.func.sum(sa.case((there, latest.c.amount), else_=0)).label(definition.name + _AMOUNTS[0]),
            sa.func.count(sa.case((there, latest.c.amount))).label(definition.name + _AMOUNTS[1]),
        ]
    return [sa.func.count(sa.case((there, 1))).label(definition.name)]


STATEMENTS: Mapping[Key, sa.Select[Any]] = {key: _statement(key) for key in Key}
"""Parameters: `name` of the key, `at`, `number`, and the other field of each that is NEW."""
OTHERS: Mapping[Key, tuple[str, ...]] = {
    key: tuple(definition.of for definition in BY_KEY[key] if definition.kind is Kind.NEW) for key in Key
}
