"""Generator of streams: assigns entities once, computes history once, then generates rows chunk by chunk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_gen.arrow import fixed_texts, flags, unpack
from data_gen.language import vocabulary as words
from data_gen.language.pattern import Pattern
from data_gen.language.variables import COUNTRY, NODES, Codes
from data_gen.network.compile import Network
from data_gen.network.draw import RawNumbers, draw
from data_gen.network.posterior import Posterior
from data_gen.output.amounts import averages_to_local, load_rates, rates_at, to_dollars, to_local
from data_gen.output.generator import Generator, RowGenerator
from data_gen.output.plan import CHUNK_ROWS, Chunk, Plan
from data_gen.output.rows import (
    BATCH_SCHEMA,
    CARD_BINS,
    CURRENCIES,
    FULL_ADDRESSES,
    identifiers,
    label_columns,
    sample_values,
    to_batch,
    to_column,
)
from data_gen.patterns import PATTERNS
from data_gen.stream.behaviour import CUSTOMERS
from data_gen.stream.entity_assignment import (
    CARD_COLUMNS,
    DEVICE_COLUMNS,
    NETWORK_COLUMNS,
    PERSON_COLUMNS,
    EntityAssigner,
    EntityAssignment,
)
from data_gen.stream.hash_random import HashRandom, Owners
from data_gen.stream.standalone_network import standalone_network
from history.columns import Columns
from history.definitions import NAMES, key_text
from history.table import History

DAY = 86_400
_PROXIES_PER_COUNTRY = 24
_OCTETS = np.array([words.IP_BLOCKS[country] for country in COUNTRY.values])
_BLOCKS = _OCTETS.shape[1] * 256
_TOKEN = np.frombuffer(b"bcdfghjkmnpqrstv", dtype=np.uint8)  # no digits: twelve are rejected as a card number
_OWNERS = (
    dict.fromkeys(PERSON_COLUMNS, "person") | dict.fromkeys(DEVICE_COLUMNS, "device") | dict.fromkeys(CARD_COLUMNS, "bank")
    | dict.fromkeys(NETWORK_COLUMNS, "network") | {"home_country": "home"}
)  # fmt: skip


def _stream_schema() -> pa.Schema:
    """Return the columns of all files, plus the card token."""
    token = pa.field("card_id", pa.string())
    place = BATCH_SCHEMA.get_field_index("card_bin")
    return BATCH_SCHEMA.insert(place, token)


@cache
def default_stream_network() -> Network:
    """Return the standalone network of the built-in patterns. It is immutable, so it is compiled once."""
    return standalone_network(PATTERNS)


class StreamGenerator:
    """Generates the rows of any chunk of a stream."""

    schema = _stream_schema()

    def __init__(self, plan: Plan, seed: int, patterns: Sequence[Pattern] = PATTERNS) -> None:
        """Assign all entities and compute their history, which takes about half as long as generating the rows."""
        self.network = default_stream_network() if patterns is PATTERNS else standalone_network(tuple(patterns))
        self._seed = seed
        prior = np.array(plan.counts) / plan.rows
        self._posterior = Posterior(self.network, prior, plan.start, plan.end)
        self._rng = HashRandom(seed)
        for node in self.network.nodes:  # computed before workers are forked, so that they share them
            _ = node.entries, node.log_probability
        load_rates()
        share = np.array(list(words.COUNTRIES.values())) / sum(words.COUNTRIES.values())
        self._blocks = np.clip(plan.rows * share / CUSTOMERS.orders_at_address, 1, _BLOCKS).astype(np.int64)
        assigner = EntityAssigner(plan, patterns, self.network, self._rng)
        self._entities = assigner.assign()
        self._card_tests = assigner.card_tests
        self.plan = replace(plan, chunks=_chunks(self._entities, len(self.network.patterns)))
        self._history = self._compute_history()

    def card_tests(self) -> list[tuple[int, int]]:
        """Return for each row its campaign of card testing and the connections of that; (0, 0) for other rows."""
        return [
            (bank, self._card_tests[bank]) if bank in self._card_tests else (0, 0)
            for bank in self._entities.bank.tolist()
        ]

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Return the rows of a chunk in order of time."""
        entities, codes, values = self._draw_chunk(chunk)
        rows, rates = len(entities.times), rates_at(codes["billing_country"], entities.times)
        columns = {name: value for name, value in values.items() if name != "new_device"}
        columns |= {
            "transaction_id": identifiers("txn_", np.arange(rows) + chunk.first_row, 12, decimal=True),
            "timestamp": entities.times,
            "user_id": identifiers("user_", entities.person, 10),
            "device_id": identifiers("dev_", _devices(entities, codes), 12),
            "account_created_date": entities.since,
            "account_age_days": (entities.times - entities.since) // DAY,
            "currency": to_column(codes["billing_country"], CURRENCIES),
            "ip_address": to_column(self._addresses(entities, codes), FULL_ADDRESSES),
            "card_bin": to_column(self._banks(entities, codes), CARD_BINS),
            "card_id": _tokens(_cards(entities, codes), codes["card_country"] < COUNTRY.size),
            "order_amount": to_local(values["order_amount"], codes["billing_country"], rates),
        }
        for name in (name for name in NAMES if name in self.schema.names):  # a stream has no pseudonyms
            column = self._history.column(name, chunk.first_row, rows)
            if name == "avg_order_value":
                column = pa.array(averages_to_local(unpack(column), rates), mask=np.asarray(column.is_null()))
            columns[name] = column.cast(self.schema.field(name).type)
        columns |= label_columns(self.network, entities.pattern, self._posterior.abuse(codes, entities.times))
        return to_batch(columns, self.schema)

    def _draw_chunk(self, chunk: Chunk) -> tuple[EntityAssignment, Mapping[str, Codes], dict[str, Any]]:
        """Return a chunk's entities, codes and values; deterministic, so that it can be repeated."""
        draws = RawNumbers(np.random.SeedSequence(self._seed, spawn_key=(chunk.index,)))
        entities = self._entities[slice(chunk.first_row, chunk.first_row + chunk.rows)]
        rows = len(entities.times)

        def uint16(name: str) -> NDArray[np.uint16]:
            if name == "order_amount":
                return self._amount_quantiles(entities, draws.uint16(rows))
            if name in _OWNERS:
                return self._rng.uint16(getattr(entities, _OWNERS[name]), name)
            return draws.uint16(rows)

        codes = draw(
            self.network,
            entities.pattern,
            uint16,
            {"account_age_days": entities.age, "new_device": entities.new_device},
        )
        values = {name: sample_values(name, codes[name], draws) for name in NODES if name in codes}
        return entities, codes, values

    def _amount_quantiles(self, entities: EntityAssignment, fresh: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Return numbers near the spender's own, mirrored at the ends: over all spenders as even as fresh numbers."""
        own = self._rng.uint16(entities.spender, "order_amount").astype(np.int64)
        reach = int(CUSTOMERS.amount_spread * 65536)
        near = own + ((fresh.astype(np.int64) - 32768) * reach >> 15)
        near = np.where(near < 0, -1 - near, near)
        return np.where(near > 65535, 131071 - near, near).astype(np.uint16)

    def _addresses(self, entities: EntityAssignment, codes: Mapping[str, Codes]) -> Codes:
        """Return address blocks: those of proxies, of the home if it is in the home country, or of another place.

        Those who test cards through many connections rent them anywhere in a country.
        """
        rng = self._rng
        blocks = self._blocks[codes["ip_country"]]
        place = rng.below(entities.at, "block", blocks)
        abroad = codes["ip_country"] != codes["home_country"]
        place = np.where(abroad, rng.below(entities.network, "foreign block", blocks), place)
        proxy = rng.below(entities.network, "proxy", np.minimum(blocks, _PROXIES_PER_COUNTRY))
        place = np.where(codes["vpn_proxy_detected"] == 1, proxy, place) * (_BLOCKS // blocks)
        rented = (entities.bank != entities.card) & (entities.network != entities.home)
        place = np.where(rented, rng.below(entities.network, "rented block", _BLOCKS), place)
        address: Codes = _OCTETS[codes["ip_country"], place // 256] * 256 + place % 256
        return address

    def _banks(self, entities: EntityAssignment, codes: Mapping[str, Codes]) -> Codes:
        bank = self._rng.below(entities.bank, "bank", words.CARD_BINS_PER_COUNTRY)
        return codes["card_country"].astype(np.int64) * words.CARD_BINS_PER_COUNTRY + bank

    def _compute_history(self) -> History:
        """Return the history of all rows, equal to what `vouch history compute` finds in the finished file."""
        cards, paid, devices, addresses, amounts = [], [], [], [], []
        for chunk in self.plan.chunks:
            entities, codes, values = self._draw_chunk(chunk)
            paid.append(codes["card_country"] < COUNTRY.size)
            cards.append(_cards(entities, codes))
            devices.append(_truncate(_devices(entities, codes), 12))
            addresses.append(self._addresses(entities, codes))
            rates = rates_at(codes["billing_country"], entities.times)
            amounts.append(to_dollars(to_local(values["order_amount"], codes["billing_country"], rates), rates))
        texts = {
            "user_id": _to_codes(_truncate(self._entities.person, 10)), "device_id": _to_codes(np.concatenate(devices)),
            "ip_address": np.where(_is_key()[np.concatenate(addresses)], _to_codes(np.concatenate(addresses)), -1),
            "card_id": np.where(np.concatenate(paid), _to_codes(np.concatenate(cards)), -1),
        }  # fmt: skip
        columns = Columns(self._entities.times, texts, np.concatenate(amounts))
        return History.of(columns, self._entities.times, self._entities.since, int(self._entities.times[0]))


def _chunks(entities: EntityAssignment, patterns: int) -> tuple[Chunk, ...]:
    rows = len(entities.times)
    return tuple(
        Chunk(
            index, first, int(entities.times[first]), int(entities.times[min(first + CHUNK_ROWS, rows) - 1]) + 1,
            np.bincount(entities.pattern[first : first + CHUNK_ROWS], minlength=patterns),
        )
        for index, first in enumerate(range(0, rows, CHUNK_ROWS))
    )  # fmt: skip


def _devices(entities: EntityAssignment, codes: Mapping[str, Codes]) -> Owners:
    """Return a different number for each kind of device, so that a device never changes its kind."""
    return entities.device ^ (codes["device_type"].astype(np.uint64) << np.uint64(8))


def _cards(entities: EntityAssignment, codes: Mapping[str, Codes]) -> Owners:
    """Return a different number for each country and kind of card: patterns draw differently with one number."""
    kind = codes["card_country"].astype(np.uint64) * np.uint64(8) + codes["payment_method"].astype(np.uint64)
    return entities.card ^ (kind << np.uint64(8))


def _truncate(owners: Owners, digits: int) -> Owners:
    """Return the part of the numbers that is visible in an identifier of `digits` hexadecimal digits."""
    return owners & np.uint64((1 << (4 * digits)) - 1)


def _to_codes(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _is_key() -> NDArray[np.bool_]:
    """Return whether each address can be a key of history: those of private networks cannot."""
    return np.array(
        [key_text("ip_address", text) is not None for text in FULL_ADDRESSES.encode(np.arange(1 << 16)).to_pylist()]
    )


def _tokens(cards: Owners, present: NDArray[np.bool_]) -> pa.Array:
    """Return card tokens, made of letters; null if no card was used."""
    width = 16
    text = np.empty((len(cards), 4 + width), dtype=np.uint8)
    text[:, :4] = np.frombuffer(b"tok_", dtype=np.uint8)
    for position in range(width):
        digit = (cards >> np.uint64(4 * (width - 1 - position))) & np.uint64(15)
        text[:, 4 + position] = _TOKEN[digit.astype(np.intp)]
    whole = fixed_texts(text)
    return pc.if_else(flags(present), whole, pa.scalar(None, pa.string()))


def make_generator(
    plan: Plan, seed: int, patterns: Sequence[Pattern] = PATTERNS, *, stream: bool
) -> tuple[Generator, Plan]:
    """Return the generator of independent rows, or of a stream, and the plan that it follows."""
    if stream:
        generator = StreamGenerator(plan, seed, patterns)
        return generator, generator.plan
    return RowGenerator(plan, seed, patterns), plan
