"""The definitions as SQL: one pass over the latest attempts of each key, in an index with all columns that it reads.

One statement covers all keys, and joins the totals of compacted attempts.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from agent_server.database.prepared import Prepared
from agent_server.ledger.schema import ATTEMPTS, FOLDED, FOLDED_DEVICES, HEAD
from history.definitions import LATEST, NEEDED, Definition, Key, Kind

UNITS, AMOUNTS = "_units", "_amounts"
"""Suffixes of the columns for a mean: the sum, and the number of values."""
TOTALS_PREFIX = "folded_"
SEEN = "seen"
"""Column with the number of entries in the chain: which decisions the fields reflect, in the same snapshot."""
_AT: Any = sa.bindparam("at", type_=sa.BigInteger)
_OWN: Any = sa.bindparam("own", type_=sa.BigInteger)
_BEFORE: Any = sa.bindparam("before", type_=sa.BigInteger)
# As a sum: otherwise SQLite would scan all numbers below it instead of an index by key.
_EARLIER = (ATTEMPTS.c.number + 0 < _BEFORE, ATTEMPTS.c.number + 0 != _OWN)
_VALUES: dict[str, Any] = {name: sa.bindparam(name, type_=sa.BigInteger) for name in NEEDED}
_USER = ATTEMPTS.c.user_id == _VALUES["user_id"]


@cache
def statement(definitions: Sequence[Definition]) -> Prepared:
    """Return the statement for fields of an order, from attempts with numbers below `before`, without its `own`.

    Parameters: `at`, `before`, `own`, and the digests of the order's texts.
    """
    columns: list[Any] = [sa.select(HEAD.c.sequence).scalar_subquery().label(SEEN)]  # one row, whatever the definitions
    passes = []
    for key in Key:
        own = [one for one in definitions if one.key is key]
        counted = [one for one in own if one.kind is not Kind.DAYS_SINCE_FIRST]
        columns += [_first_order(one) for one in own if one.kind is Kind.DAYS_SINCE_FIRST]
        if counted:
            found = _key_subquery(key, counted)
            passes.append(found)
            columns += found.c
    if any(one.window is None for one in definitions):
        passes.append(_totals())
        columns += passes[-1].c
    whole = sa.select(*columns)
    for one in passes:  # each is a single row
        whole = whole.select_from(one)
    return Prepared(whole)


def _key_subquery(key: Key, definitions: Sequence[Definition]) -> Any:
    """Return all fields of a key, from its latest attempts without the order itself, which is one of the LATEST."""
    past = [ATTEMPTS.c[key.value] == _VALUES[key.value], ATTEMPTS.c.at <= _AT, *_EARLIER]
    windows = [one.window for one in definitions if one.window is not None]
    if len(windows) == len(definitions):
        past.append(ATTEMPTS.c.at >= _AT - max(windows))
    chosen = sa.select(*(ATTEMPTS.c[name] for name in _columns_read(definitions))).where(*past)
    latest = chosen.order_by(ATTEMPTS.c.at.desc(), ATTEMPTS.c.number.desc()).limit(LATEST - 1).subquery()
    return sa.select(*(column for one in definitions for column in _columns(one, latest.c))).subquery(f"of_{key.value}")


def _columns_read(definitions: Sequence[Definition]) -> list[str]:
    """Return the columns of attempts that are read: no more than the indexes contain."""
    needed = {"at"} | {one.of for one in definitions if one.of}
    if any(one.kind in (Kind.ORDERS, Kind.MEAN_AMOUNT) for one in definitions):
        needed.add("counts")
    if any(one.kind is Kind.MEAN_AMOUNT for one in definitions):
        needed.add("amount")
    return sorted(needed)


def _columns(definition: Definition, latest: Any) -> list[Any]:
    name, kind = definition.name, definition.kind
    conditions: list[Any] = [] if definition.window is None else [latest.at >= _AT - definition.window]
    if kind is Kind.DIFFERENT:
        own = _VALUES[definition.of]
        value = sa.case((sa.and_(*conditions), latest[definition.of])) if conditions else latest[definition.of]
        others: Any = sa.func.count(sa.distinct(value))
        if definition.itself:
            others += 1 - sa.func.coalesce(
                sa.func.max(sa.case((sa.and_(latest[definition.of] == own, *conditions), 1), else_=0)), 0
            )
        return [others.label(name)]
    if kind is Kind.NEW:
        same = latest[definition.of] == _VALUES[definition.of]
        return [sa.func.max(sa.case((sa.and_(same, *conditions), 1), else_=0)).label(name)]
    if kind is Kind.MEAN_AMOUNT:
        amounts = sa.case((sa.and_(latest.counts, *conditions), latest.amount))
        return [sa.func.sum(amounts).label(name + UNITS), sa.func.count(amounts).label(name + AMOUNTS)]
    if kind is Kind.ORDERS:
        conditions = [latest.counts, *conditions]
    return [sa.func.count(sa.case((sa.and_(*conditions), 1)) if conditions else 1).label(name)]


def _first_order(definition: Definition) -> Any:
    past = [_USER, ATTEMPTS.c.at <= _AT, *_EARLIER, ATTEMPTS.c.counts]
    return (
        sa.select(ATTEMPTS.c.at).where(*past).order_by(ATTEMPTS.c.at).limit(1).scalar_subquery().label(definition.name)
    )


def _totals() -> Any:
    """Return one row: the totals of the account's compacted attempts, and whether they include the order's device."""
    totals = [
        sa.func.max(column).label(TOTALS_PREFIX + column.name)
        for column in (FOLDED.c.orders, FOLDED.c.units, FOLDED.c.amounts, FOLDED.c.first)
    ]
    device = FOLDED_DEVICES.c.device_id == _VALUES["device_id"]
    seen = sa.select(FOLDED_DEVICES.c.device_id).where(FOLDED_DEVICES.c.user_id == _VALUES["user_id"], device)
    columns = [*totals, seen.scalar_subquery().label(TOTALS_PREFIX + "device")]
    return sa.select(*columns).where(FOLDED.c.user_id == _VALUES["user_id"]).subquery("of_folded")
