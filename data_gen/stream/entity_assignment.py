"""Assignment of entities to the rows of a stream: a number for each person, home, device, card and network.

Rows that share a number share the columns of that entity. The columns are drawn later, chunk by chunk, in any process.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from data_gen.language.pattern import Pattern
from data_gen.language.timeline import Timeline
from data_gen.language.variables import read
from data_gen.network.compile import Network
from data_gen.network.draw import draw_node
from data_gen.output.plan import Plan, largest_remainder
from data_gen.stream.behaviour import CAMPAIGNS, CARD_TESTING, CUSTOMERS, Campaign, CardTesting, Customers
from data_gen.stream.campaigns import CampaignRows, assign_campaigns
from data_gen.stream.hash_random import HashRandom, Owners
from data_gen.stream.people import Ints, People, has_age, sample_creation_time

PERSON_COLUMNS = (
    "email_domain",
    "phone_verified",
    "email_verified",
    "profile_complete",
    "billing_country",
    "home_country",
)
DEVICE_COLUMNS = ("device_type", "user_agent")
CARD_COLUMNS = ("payment_method", "card_country")
NETWORK_COLUMNS = ("vpn_proxy_detected", "ip_country")


@dataclass(frozen=True)
class EntityAssignment:
    """One entry for each row. All but the first five fields are owners of random numbers."""

    times: Ints
    pattern: Ints
    age: NDArray[np.uint8]
    """Code of the account's age."""
    new_device: NDArray[np.uint8]
    since: Ints
    """When the account was created."""
    person: Owners
    home: Owners
    device: Owners
    card: Owners
    network: Owners
    at: Owners
    """Owner of the address, unless it is a proxy's."""
    spender: Owners
    """Person whose spending habit determines the amount."""
    bank: Owners
    """Owner of kind, country and issuer of the card."""

    def __getitem__(self, part: slice | NDArray[np.intp]) -> "EntityAssignment":
        """Return some of the rows."""
        return EntityAssignment(**{field.name: getattr(self, field.name)[part] for field in fields(self)})


class EntityAssigner:
    """Assigns entities to the rows of a plan."""

    def __init__(self, plan: Plan, patterns: Sequence[Pattern], network: Network, rng: HashRandom) -> None:
        self._plan, self._patterns, self._network, self._rng = plan, patterns, network, rng
        self._nodes = {node.name: node for node in network.nodes}
        scale = max((plan.end - plan.start) / (90 * 86_400), 1 / CUSTOMERS.orders_in_90_days)
        self._orders_each = CUSTOMERS.orders_in_90_days * scale
        self._people: dict[str, People] = {}
        self.card_tests: dict[int, int] = {}
        """Connections of each campaign of card testing. Its number is the `bank` of its rows."""

    def assign(self) -> EntityAssignment:
        """Return all rows in order of time."""
        parts = [*self._assign_customers(), *self._assign_attackers()]
        merged = EntityAssignment(**{
            field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(EntityAssignment)
        })  # fmt: skip
        return merged[np.argsort(merged.times, kind="stable")]

    def _assign_customers(self) -> Iterable[EntityAssignment]:
        """Yield the rows of honest patterns. Patterns with the same distributions of person columns share people."""
        kinds: dict[str, list[int]] = {}
        for number, pattern in enumerate(self._patterns):
            if not pattern.is_abuse and self._plan.counts[number]:
                kinds.setdefault(self._kind(pattern), []).append(number)
        for kind, numbers in kinds.items():
            of = np.repeat(np.array(numbers), [self._plan.counts[number] for number in numbers])
            times = np.concatenate([self._times(number) for number in numbers])
            rows = self._rng.words(np.arange(len(of)), f"rows {kind}")
            age = self._age(of, self._rng.uint16(rows, "account_age_days"))
            since = sample_creation_time(self._rng, rows, times, age.astype(np.int64))
            founders = np.argsort(rows, kind="stable")[: max(1, round(len(rows) / self._orders_each))]
            people = self._people[kind] = People(self._rng, kind, since[founders], CUSTOMERS)
            yield self._customer_entities(people, of, times, rows, age, since)

    def _kind(self, pattern: Pattern) -> str:
        """Return the name of the first pattern with the same person columns."""
        own = [pattern.nodes[name] for name in PERSON_COLUMNS]
        alike = (one.name for one in self._patterns if [one.nodes[name] for name in PERSON_COLUMNS] == own)
        return next(alike)

    def _customer_entities(
        self, people: People, pattern: Ints, times: Ints, rows: Owners, age: NDArray[np.uint8], since: Ints
    ) -> EntityAssignment:
        rng, how = self._rng, CUSTOMERS
        found = people.find_by_age(rng, rows, times, age.astype(np.int64))
        known, place = found >= 0, np.maximum(found, 0)
        person = np.where(known, people.who[place], rows)
        home = np.where(known, people.home[place], rows)
        is_new = self._new_device(pattern, age, rows)
        # The first device of a new account is always new to it.
        other = (is_new == 1) & (age > 0)
        shared = known & people.in_family[place] & rng.happens(rows, "family device", how.on_family_device)
        device = np.where(shared, rng.words(home, "family device"), _devices(rng, person, rows, how))
        device = np.where(other, rng.words(rows, "device of once"), device)
        card = _cards(rng, person, rows, how)
        return EntityAssignment(
            times, pattern, age, is_new, np.where(known, people.since[place], since), person, home, device,
            card, rows, np.where(rng.happens(rows, "at home", how.at_home), home, rows), person, card,
        )  # fmt: skip

    def _assign_attackers(self) -> Iterable[EntityAssignment]:
        for number, pattern in enumerate(self._patterns):
            if pattern.is_abuse and (rows := self._plan.counts[number]):
                timeline = Timeline(pattern.week, self._plan.start, self._plan.end)
                if pattern.abuse_type != "card_testing":
                    yield self._campaign_entities(number, pattern.name, rows, CAMPAIGNS[pattern.abuse_type], timeline)
                    continue
                parts = largest_remainder(rows, [1 / len(CARD_TESTING)] * len(CARD_TESTING))
                for part, campaign in zip(parts, CARD_TESTING, strict=True):
                    if part:
                        name = f"{pattern.name} {campaign.addresses}"
                        yield self._campaign_entities(number, name, part, campaign, timeline)

    def _campaign_entities(
        self, number: int, name: str, count: int, campaign: Campaign, timeline: Timeline
    ) -> EntityAssignment:
        rng = self._rng
        campaign_rows = assign_campaigns(rng, name, count, campaign, timeline)
        rows = rng.words(np.arange(count), f"rows {name}")
        pattern = np.full(count, number)
        age = self._age(pattern, rng.uint16(campaign_rows.account, "account_age_days"))
        account, since, home, own_device, own_card = self._assign_accounts(number, campaign_rows, rows, age, campaign)
        is_new = self._new_device(pattern, age, rows)
        device, card = campaign_rows.device, campaign_rows.card
        if campaign.takes_over:
            device = np.where(is_new == 1, device, own_device)
            card = np.where(rng.happens(rows, "stored card", campaign.stored_card), own_card, card)
        network, bank = campaign_rows.network, card
        if isinstance(campaign, CardTesting):
            home = bank = campaign_rows.campaign  # connections are chosen in the country of the cards' bank
            self.card_tests |= dict.fromkeys(bank.tolist(), campaign.addresses)
        else:
            network = np.where(rng.happens(rows, "connection", campaign.one_connection), network, rows)
        spender = account if campaign.takes_over else campaign_rows.campaign
        return EntityAssignment(
            campaign_rows.times,
            pattern,
            age,
            is_new,
            since,
            account,
            home,
            device,
            card,
            network,
            network,
            spender,
            bank,
        )

    def _assign_accounts(
        self, number: int, campaign_rows: CampaignRows, rows: Owners, age: NDArray[np.uint8], campaign: Campaign
    ) -> tuple[Owners, Ints, Owners, Owners, Owners]:
        """Return for each row the account, its creation time, its home, and its own device and card."""
        rng, times, ages = self._rng, campaign_rows.times, age.astype(np.int64)
        first = np.ones(len(rows), np.bool_)
        first[1:] = campaign_rows.account[1:] != campaign_rows.account[:-1]
        lead = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
        people = self._people.get(self._kind(self._patterns[number])) if campaign.takes_over else None
        anew = sample_creation_time(rng, rows, times, ages)
        who, since, home = campaign_rows.account, anew[lead], campaign_rows.account
        if people is not None:
            alone = people.find_by_age(rng, rows, times, ages)
            place = alone[lead]
            stays = (place >= 0) & has_age(times, ages, people.since[np.maximum(place, 0)])
            place = np.where(stays, place, alone)  # replace an account that has become too old
            there, at = place >= 0, np.maximum(place, 0)
            who, home = np.where(there, people.who[at], rows), np.where(there, people.home[at], rows)
            since = np.where(there, people.since[at], anew)
        else:
            stays = has_age(times, ages, since)
            who, home, since = np.where(stays, who, rows), np.where(stays, home, rows), np.where(stays, since, anew)
        return who, since, home, _devices(rng, who, rows, CUSTOMERS), _cards(rng, who, rows, CUSTOMERS)

    def _age(self, pattern: Ints, uint16: NDArray[np.uint16]) -> NDArray[np.uint8]:
        return draw_node(self._nodes["account_age_days"], pattern, {}, uint16)

    def _new_device(self, pattern: Ints, age: NDArray[np.uint8], rows: Owners) -> NDArray[np.uint8]:
        codes = {"account_age_days": age}
        node = self._nodes["new_device"]
        codes |= {name: read(name, codes) for name in node.parents}
        return draw_node(node, pattern, codes, self._rng.uint16(rows, "new_device"))

    def _times(self, number: int) -> Ints:
        pattern, rows = self._patterns[number], self._plan.counts[number]
        timeline = Timeline(pattern.week, self._plan.start, self._plan.end)
        return timeline.times_at(self._rng.up_to(np.arange(rows), f"{pattern.name} times", timeline.total))


def _devices(rng: HashRandom, person: Owners, rows: Owners, how: Customers) -> Owners:
    second = rng.happens(rows, "second device", how.second_device)
    return np.where(second, rng.words(person, "second device"), rng.words(person, "device"))


def _cards(rng: HashRandom, person: Owners, rows: Owners, how: Customers) -> Owners:
    second = rng.happens(rows, "second card", how.second_card)
    return np.where(second, rng.words(person, "second card"), rng.words(person, "card"))
