"""The rows of a stream: cast once, counted once, then made chunk by chunk like all others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_gen.arrow import fixed_texts, flags
from data_gen.language import vocabulary as words
from data_gen.language.pattern import Pattern
from data_gen.language.variables import COUNTRY, NODES, Codes
from data_gen.network.compile import Network
from data_gen.network.draw import RawNumbers, draw
from data_gen.network.posterior import Posterior
from data_gen.output.plan import CHUNK_ROWS, Chunk, Plan
from data_gen.output.rows import (
    BATCH_SCHEMA,
    CARD_BINS,
    CURRENCIES,
    FULL_ADDRESSES,
    as_batch,
    identifiers,
    labels,
    named,
    values_of,
)
from data_gen.patterns import PATTERNS
from data_gen.stream.behaviour import CUSTOMERS
from data_gen.stream.entity_assignment import (
    OF_A_CARD,
    OF_A_DEVICE,
    OF_A_NETWORK,
    OF_A_PERSON,
    EntityAssigner,
    EntityAssignment,
)
from data_gen.stream.hash_random import HashRandom, Owners
from data_gen.stream.standalone_network import standalone_network
from history.columns import Columns
from history.definitions import NAMES
from history.table import History

DAY = 86_400
_PROXIES_PER_COUNTRY = 24
_OCTETS = np.array([words.IP_BLOCKS[country] for country in COUNTRY.values])
_BLOCKS = _OCTETS.shape[1] * 256
_TOKEN = np.frombuffer(b"bcdfghjkmnpqrstv", dtype=np.uint8)  # no digits: a row of twelve is refused as a card number
_OWNERS = (
    dict.fromkeys(OF_A_PERSON, "person") | dict.fromkeys(OF_A_DEVICE, "device") | dict.fromkeys(OF_A_CARD, "card")
    | dict.fromkeys(OF_A_NETWORK, "network") | {"home_country": "home"}
)  # fmt: skip


def _stream_schema() -> pa.Schema:
    """The columns of all files, and the card's token."""
    token = pa.field("card_id", pa.string())
    place = BATCH_SCHEMA.get_field_index("card_bin")
    return BATCH_SCHEMA.insert(place, token)


@cache
def own_lonely() -> Network:
    """The network of the generator's own patterns without their past: nobody changes it."""
    return standalone_network(PATTERNS)


class StreamGenerator:
    """Makes the rows of any chunk of a stream."""

    schema = _stream_schema()

    def __init__(self, plan: Plan, seed: int, patterns: Sequence[Pattern] = PATTERNS) -> None:
        """Casts all rows and counts their past, which takes about half of the time that making them takes."""
        self.network = own_lonely() if patterns is PATTERNS else standalone_network(tuple(patterns))
        self._seed = seed
        prior = np.array(plan.counts) / plan.rows
        self._posterior = Posterior(self.network, prior, plan.start, plan.end)
        self._keyed = HashRandom(seed)
        for node in self.network.nodes:  # made before workers are forked, so that they share them
            _ = node.entries, node.log_probability
        share = np.array(list(words.COUNTRIES.values())) / sum(words.COUNTRIES.values())
        self._blocks = np.clip(plan.rows * share / CUSTOMERS.orders_at_address, 1, _BLOCKS).astype(np.int64)
        self._cast = EntityAssigner(plan, patterns, self.network, self._keyed).cast()
        self.plan = replace(plan, chunks=_chunks(self._cast, len(self.network.patterns)))
        self._history = self._counted()

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Rows of a chunk in order of time."""
        cast, codes, values = self._drawn(chunk)
        rows = len(cast.times)
        columns = {name: value for name, value in values.items() if name != "new_device"}
        columns |= {
            "transaction_id": identifiers("txn_", np.arange(rows) + chunk.first_row, 12, decimal=True),
            "timestamp": cast.times,
            "user_id": identifiers("user_", cast.person, 10),
            "device_id": identifiers("dev_", _devices(cast, codes), 12),
            "account_created_date": cast.since,
            "account_age_days": (cast.times - cast.since) // DAY,
            "currency": named(codes["billing_country"], CURRENCIES),
            "ip_address": named(self._addresses(cast, codes), FULL_ADDRESSES),
            "card_bin": named(self._banks(cast, codes), CARD_BINS),
            "card_id": _tokens(_cards(cast, codes), codes["card_country"] < COUNTRY.size),
            "order_amount": values["order_amount"] / 100,
        }
        for name in NAMES:
            columns[name] = self._history.column(name, chunk.first_row, rows).cast(self.schema.field(name).type)
        columns |= labels(self.network, cast.pattern, self._posterior.abuse(codes, cast.times))
        return as_batch(columns, self.schema)

    def _drawn(self, chunk: Chunk) -> tuple[EntityAssignment, Mapping[str, Codes], dict[str, Any]]:
        """Who is behind the rows of a chunk, their codes and values: the same however often it is asked."""
        draws = RawNumbers(np.random.SeedSequence(self._seed, spawn_key=(chunk.index,)))
        cast = self._cast[slice(chunk.first_row, chunk.first_row + chunk.rows)]
        rows = len(cast.times)

        def sixteen(name: str) -> NDArray[np.uint16]:
            if name == "order_amount":
                return self._habit(cast, draws.sixteen(rows))
            if name in _OWNERS:
                return self._keyed.sixteen(getattr(cast, _OWNERS[name]), name)
            return draws.sixteen(rows)

        codes = draw(self.network, cast.pattern, sixteen, {"account_age_days": cast.age, "new_device": cast.new_device})
        values = {name: values_of(name, codes[name], draws) for name in NODES if name in codes}
        return cast, codes, values

    def _habit(self, cast: EntityAssignment, fresh: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Near the spender's own number, mirrored at the ends: over all spenders as even as fresh numbers are."""
        own = self._keyed.sixteen(cast.spender, "order_amount").astype(np.int64)
        reach = int(CUSTOMERS.amount_spread * 65536)
        near = own + ((fresh.astype(np.int64) - 32768) * reach >> 15)
        near = np.where(near < 0, -1 - near, near)
        return np.where(near > 65535, 131071 - near, near).astype(np.uint16)

    def _addresses(self, cast: EntityAssignment, codes: Mapping[str, Codes]) -> Codes:
        """Blocks of addresses: a proxy's behind one, that of the home where it is the home's country, any other elsewhere."""
        keyed = self._keyed
        blocks = self._blocks[codes["ip_country"]]
        place = keyed.below(cast.at, "block", blocks)
        strange = codes["ip_country"] != codes["home_country"]
        place = np.where(strange, keyed.below(cast.network, "foreign block", blocks), place)
        proxy = keyed.below(cast.network, "proxy", np.minimum(blocks, _PROXIES_PER_COUNTRY))
        place = np.where(codes["vpn_proxy_detected"] == 1, proxy, place) * (_BLOCKS // blocks)
        address: Codes = _OCTETS[codes["ip_country"], place // 256] * 256 + place % 256
        return address

    def _banks(self, cast: EntityAssignment, codes: Mapping[str, Codes]) -> Codes:
        bank = self._keyed.below(cast.card, "bank", words.CARD_BINS_PER_COUNTRY)
        return codes["card_country"].astype(np.int64) * words.CARD_BINS_PER_COUNTRY + bank

    def _counted(self) -> History:
        """The past of all rows, by the definitions: what `vouch history compute` finds in the finished file."""
        cards, paid, devices, addresses, amounts = [], [], [], [], []
        for chunk in self.plan.chunks:
            cast, codes, values = self._drawn(chunk)
            paid.append(codes["card_country"] < COUNTRY.size)
            cards.append(_cards(cast, codes))
            devices.append(_short(_devices(cast, codes), 12))
            addresses.append(self._addresses(cast, codes))
            amounts.append(values["order_amount"] / 100)
        texts = {
            "user_id": _numbered(_short(self._cast.person, 10)), "device_id": _numbered(np.concatenate(devices)),
            "ip_address": _numbered(np.concatenate(addresses)),
            "card_id": np.where(np.concatenate(paid), _numbered(np.concatenate(cards)), -1),
        }  # fmt: skip
        columns = Columns(self._cast.times, texts, np.concatenate(amounts))
        return History.of(columns, self._cast.times, self._cast.since, int(self._cast.times[0]))


def _chunks(cast: EntityAssignment, patterns: int) -> tuple[Chunk, ...]:
    rows = len(cast.times)
    return tuple(
        Chunk(
            index, first, int(cast.times[first]), int(cast.times[min(first + CHUNK_ROWS, rows) - 1]) + 1,
            np.bincount(cast.pattern[first : first + CHUNK_ROWS], minlength=patterns),
        )
        for index, first in enumerate(range(0, rows, CHUNK_ROWS))
    )  # fmt: skip


def _devices(cast: EntityAssignment, codes: Mapping[str, Codes]) -> Owners:
    """Another number for another kind of device, so that none changes its kind."""
    return cast.device ^ (codes["device_type"].astype(np.uint64) << np.uint64(8))


def _cards(cast: EntityAssignment, codes: Mapping[str, Codes]) -> Owners:
    """Another number for another country or kind of card: patterns draw differently with one number."""
    kind = codes["card_country"].astype(np.uint64) * np.uint64(8) + codes["payment_method"].astype(np.uint64)
    return cast.card ^ (kind << np.uint64(8))


def _short(owners: Owners, digits: int) -> Owners:
    """As much of the numbers as an identifier of so many hexadecimal digits shows."""
    return owners & np.uint64((1 << (4 * digits)) - 1)


def _numbered(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _tokens(cards: Owners, present: NDArray[np.bool_]) -> pa.Array:
    """Tokens of cards, in letters; null where no card was used."""
    width = 16
    text = np.empty((len(cards), 4 + width), dtype=np.uint8)
    text[:, :4] = np.frombuffer(b"tok_", dtype=np.uint8)
    for position in range(width):
        digit = (cards >> np.uint64(4 * (width - 1 - position))) & np.uint64(15)
        text[:, 4 + position] = _TOKEN[digit.astype(np.intp)]
    whole = fixed_texts(text)
    return pc.if_else(flags(present), whole, pa.scalar(None, pa.string()))
