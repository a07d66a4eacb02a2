"""The definitions as SQL: each is a question of its own, to an index that holds all that it looks at; all go out together."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from agent_server.ledger.schema import ATTEMPTS
from agent_server.memory.prepared import Prepared
from history.definitions import LATEST, NEEDED, Definition, Kind

APART = ","
"""Between the sum and the number that make a mean."""
SAME = "same"
_AT: Any = sa.bindparam("at", type_=sa.BigInteger)
_OWN: Any = sa.bindparam("own", type_=sa.BigInteger)
_VALUES: dict[str, Any] = {name: sa.bindparam(name, type_=sa.BigInteger) for name in (*NEEDED, "transaction_id")}
_SAME = (
    sa.select(ATTEMPTS.c.number)
    .where(ATTEMPTS.c.user_id == _VALUES["user_id"], ATTEMPTS.c.at == _AT)
    .where(ATTEMPTS.c.transaction_id == _VALUES["transaction_id"])
    .order_by(ATTEMPTS.c.number.desc())
    .limit(1)
)


@cache
def statement(definitions: Sequence[Definition]) -> Prepared:
    """Fields of an order that is not in memory yet, or has the number `own` there; `same` is the latest attempt with its id.

    Parameters: `at`, `own`, `transaction_id`, and the digests of the texts that memory keeps.
    """
    columns = [column for definition in definitions for column in _columns(definition)]
    return Prepared(sa.select(_SAME.scalar_subquery().label(SAME), *columns))


def _columns(definition: Definition) -> list[Any]:
    name, kind = definition.name, definition.kind
    if kind is Kind.DAYS_SINCE_FIRST:
        first = sa.select(ATTEMPTS.c.at).where(*_past(definition), ATTEMPTS.c.counts).order_by(ATTEMPTS.c.at).limit(1)
        return [first.scalar_subquery().label(name)]
    if kind is Kind.ATTEMPTS:
        return [_count(_latest(definition)).label(name)]
    if kind is Kind.DIFFERENT:
        others = _latest(definition, definition.of)
        value, own = others.c[definition.of], _VALUES[definition.of]
        among = sa.func.coalesce(sa.func.max(sa.case((value == own, 1), else_=0)), 0)
        return [sa.select(sa.func.count(sa.distinct(value)) + 1 - among).scalar_subquery().label(name)]
    if kind is Kind.NEW:
        others = _latest(definition, definition.of)
        seen = sa.select(others.c[definition.of]).where(others.c[definition.of] == _VALUES[definition.of]).limit(1)
        return [seen.scalar_subquery().label(name)]
    if kind is Kind.ORDERS:
        orders = _latest(definition, "counts")
        return [_count(orders, orders.c.counts).label(name)]
    orders = _latest(definition, "counts", "amount")
    total = sa.cast(sa.func.coalesce(sa.func.sum(orders.c.amount), 0), sa.String)
    number = sa.cast(sa.func.count(orders.c.amount), sa.String)
    # As one text, so that the rows are gone through once.
    both = sa.select(total + APART + number).where(orders.c.counts)
    return [both.scalar_subquery().label(name)]


def _past(definition: Definition) -> list[Any]:
    key = definition.key.value
    past = [ATTEMPTS.c[key] == _VALUES[key], ATTEMPTS.c.at <= _AT, ATTEMPTS.c.number != _OWN]
    return past if definition.window is None else [*past, ATTEMPTS.c.at >= _AT - definition.window]


def _latest(definition: Definition, *columns: str) -> Any:
    """The latest attempts of the window, without the order itself: it is one of those that are looked at."""
    chosen = sa.select(ATTEMPTS.c.number, *(ATTEMPTS.c[name] for name in columns)).where(*_past(definition))
    return chosen.order_by(ATTEMPTS.c.at.desc(), ATTEMPTS.c.number.desc()).limit(LATEST - 1).subquery()


def _count(rows: Any, *conditions: Any) -> Any:
    return sa.select(sa.func.count()).select_from(rows).where(*conditions).scalar_subquery()
