"""Columns of a file, computed from codes: the part of a row that is the same for all patterns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.schema import FILE_SCHEMA
from data_gen.arrow import CodedTexts, fixed_texts, flags, numbers
from data_gen.language import vocabulary as words
from data_gen.language.domains import Categories
from data_gen.language.pattern import PatternError
from data_gen.language.timeline import Timeline
from data_gen.language.variables import COUNTRY, NODES, Codes
from data_gen.network.compile import Network
from data_gen.network.draw import RawNumbers, draw
from data_gen.network.posterior import Posterior
from data_gen.output.amounts import rates_at, to_local
from data_gen.output.plan import Chunk

DAY = 86_400
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)

_UNIQUE = ("transaction_id", "user_id", "device_id")
BATCH_SCHEMA = pa.schema(
    [
        field.with_type(pa.dictionary(pa.int32(), pa.string()))
        if field.type == pa.string() and field.name not in _UNIQUE
        else field
        for field in FILE_SCHEMA
    ]
)
"""Schema of generated rows: repeated text is dictionary-encoded, which Parquet accepts directly."""


def make_rows(network: Network, posterior: Posterior, chunk: Chunk, seed: int) -> pa.RecordBatch:
    """Return the rows of one chunk in order of time. Depends only on its arguments."""
    draws = RawNumbers(np.random.SeedSequence(seed, spawn_key=(chunk.index,)))
    pattern = np.repeat(np.arange(len(network.patterns)), chunk.counts)
    times = np.concatenate(
        [
            _times(Timeline(p.week, chunk.start, chunk.end), int(rows), draws)
            for p, rows in zip(network.patterns, chunk.counts, strict=True)
            if rows
        ]
        or [np.empty(0, dtype=np.int64)]
    )
    order = np.argsort(times, kind="stable")
    pattern, times = pattern[order], times[order]
    rows = len(pattern)
    codes = draw(network, pattern, lambda name: draws.uint16(rows))
    columns = _columns(codes, times, chunk, draws)
    columns |= label_columns(network, pattern, posterior.abuse(codes, times))
    return to_batch(columns, BATCH_SCHEMA)


def to_batch(columns: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    """Return columns in the order of a schema; raise PatternError if one is missing or unknown."""
    if unknown := columns.keys() - set(schema.names):
        raise PatternError(f"node {min(unknown)}: the contract has no such column")
    if missing := set(schema.names) - columns.keys():
        raise PatternError(
            f"column {min(missing)}: it is in the contract, but not a node of data_gen/language/variables.py"
        )
    return pa.RecordBatch.from_arrays([to_arrow(columns[field.name], field.type) for field in schema], schema=schema)


def _times(timeline: Timeline, rows: int, draws: RawNumbers) -> NDArray[np.int64]:
    return timeline.times_at(draws.up_to(timeline.total, rows))


def _columns(codes: Mapping[str, Codes], times: NDArray[np.int64], chunk: Chunk, draws: RawNumbers) -> dict[str, Any]:
    rows = len(times)
    values = {name: sample_values(name, codes[name], draws) for name in NODES if name in codes}
    today, week, before = (
        values.pop(name) for name in ("orders_last_24h", "orders_2_to_7_days_ago", "orders_before_7_days")
    )
    age = values["account_age_days"]
    billing = codes["billing_country"]
    rates = rates_at(billing, times)
    octet = np.array([words.IP_BLOCKS[country] for country in COUNTRY.values])
    block = octet[codes["ip_country"], draws.below(octet.shape[1], rows)] * 256 + draws.below(256, rows)
    card = codes["card_country"].astype(np.int64) * words.CARD_BINS_PER_COUNTRY
    card += draws.below(words.CARD_BINS_PER_COUNTRY, rows)
    return values | {
        "transaction_id": identifiers("txn_", np.arange(rows) + chunk.first_row, 12, decimal=True),
        "timestamp": times,
        "user_id": identifiers("user_", draws.uint64(rows), 10),
        "device_id": identifiers("dev_", draws.uint64(rows), 12),
        "account_created_date": times - age * DAY - draws.below(DAY, rows),
        "currency": to_column(billing, CURRENCIES),
        "ip_address": to_column(block, IP_ADDRESSES),
        "card_bin": to_column(card, CARD_BINS),
        "orders_last_24h": today,
        "orders_last_7d": today + week,
        "total_orders_lifetime": today + week + before,
        "days_since_account_first_purchase": _first_purchase(age, today + week, before, draws),
        "order_amount": to_local(values["order_amount"], billing, rates),
        "avg_order_value": to_local(values["avg_order_value"], billing, rates),
    }


def sample_values(name: str, codes: Codes, draws: RawNumbers) -> Any:
    """Return values for a node's codes; inside a bin all values are equally probable."""
    domain = NODES[name]
    if isinstance(domain, Categories):
        return to_column(codes, domain.values)
    if domain.width.max() == 1:
        return domain.lower[codes]
    return domain.lower[codes] + draws.below(domain.width[codes], len(codes))


def to_column(codes: Codes, values: Any) -> pa.Array:
    """Return the values of codes as a column."""
    if values == (False, True):
        return flags(codes)
    return (values if isinstance(values, CodedTexts) else CodedTexts(values)).encode(codes)


def _first_purchase(age: Codes, recent: Codes, before: Codes, draws: RawNumbers) -> Codes:
    """Return days since the first purchase: 0 without one, at most 7 if all orders are recent, else early in life."""
    rows = len(age)
    fraction = draws.below(1 << 20, rows)
    late = (np.minimum(age, 7) * fraction) >> 20
    early = 7 + (((age - 7) * ((1 << 20) - ((fraction * fraction) >> 20))) >> 20)
    return np.where(before > 0, early, np.where(recent > 0, late, 0))


def identifiers(prefix: str, serial: Codes, digits: int, *, decimal: bool = False) -> pa.Array:
    """Return texts of a prefix and a fixed number of digits; built as bytes, since strings are much slower."""
    rows, width = len(serial), len(prefix) + digits
    text = np.empty((rows, width), dtype=np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    rest = serial.astype(np.uint64)
    for position in range(width - 1, len(prefix) - 1, -1):
        if decimal:
            rest, digit = np.divmod(rest, np.uint64(10))
        else:
            digit, rest = rest & np.uint64(15), rest >> np.uint64(4)
        text[:, position] = _HEX[digit.astype(np.intp)]
    return fixed_texts(text)


def label_columns(network: Network, pattern: Codes, confidence: NDArray[np.float64]) -> dict[str, Any]:
    """Return the four label columns."""
    patterns = network.patterns
    return {
        "is_abuse": flags(np.array([p.is_abuse for p in patterns])[pattern]),
        "abuse_type": to_column(pattern, CodedTexts([p.abuse_type for p in patterns])),
        # Six digits are more than any use of a label needs, and the same on every machine.
        "abuse_confidence": np.round(confidence, 6),
        "difficulty_tier": to_column(pattern, CodedTexts([p.tier for p in patterns])),
    }


def to_arrow(column: Any, wanted: pa.DataType) -> pa.Array:
    """Return an Arrow array; existing arrays are returned unchanged."""
    return column if isinstance(column, pa.Array) else numbers(column, wanted)


CURRENCIES = CodedTexts([words.CURRENCY.get(country, "EUR") for country in COUNTRY.values])
FULL_ADDRESSES = CodedTexts(
    [f"{code >> 8}.{code & 255}.{(code * 37 + 11) % 256}.{1 + code * 101 % 254}" for code in range(1 << 16)]
)
"""One full address for each block, by which a stream counts accounts. Masked addresses identify nobody."""
IP_ADDRESSES = CodedTexts([f"{code >> 8}.{code & 255}.xxx.xxx" for code in range(1 << 16)])
CARD_BINS = CodedTexts(
    [
        # 4 and 5 are the ranges of the two large card schemes; the rest is invented but stable.
        f"{4 + bank % 2}{(country * words.CARD_BINS_PER_COUNTRY + bank) * 7919 % 100_000:05d}"
        for country in range(len(COUNTRY.values))
        for bank in range(words.CARD_BINS_PER_COUNTRY)
    ]
    + [None] * words.CARD_BINS_PER_COUNTRY
)
