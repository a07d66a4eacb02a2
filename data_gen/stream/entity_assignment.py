"""Who and what stands behind each row of a stream: one number for each person, home, device, card and network.

Rows that share such a number share what hangs on it; the columns themselves are drawn later, chunk by chunk, in any process.
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
from data_gen.output.plan import Plan
from data_gen.stream.behaviour import CAMPAIGNS, CUSTOMERS, Campaign, Customers
from data_gen.stream.campaigns import Acts, act
from data_gen.stream.hash_random import HashRandom, Owners
from data_gen.stream.people import Ints, People, fits, opened

OF_A_PERSON = (
    "email_domain",
    "phone_verified",
    "email_verified",
    "profile_complete",
    "billing_country",
    "home_country",
)
OF_A_DEVICE = ("device_type", "user_agent")
OF_A_CARD = ("payment_method", "card_country")
OF_A_NETWORK = ("vpn_proxy_detected", "ip_country")


@dataclass(frozen=True)
class EntityAssignment:
    """One entry a row. All but the first five are owners of numbers."""

    times: Ints
    pattern: Ints
    age: NDArray[np.uint8]
    """Code of the account's age."""
    new_device: NDArray[np.uint8]
    since: Ints
    """When the account was opened."""
    person: Owners
    home: Owners
    device: Owners
    card: Owners
    network: Owners
    at: Owners
    """Where the address belongs to when it is not a proxy's."""
    spender: Owners
    """Whose habit the amount is."""

    def __getitem__(self, part: slice | NDArray[np.intp]) -> "EntityAssignment":
        """Some of the rows."""
        return EntityAssignment(**{field.name: getattr(self, field.name)[part] for field in fields(self)})


class EntityAssigner:
    """Fills the roles of a plan's rows."""

    def __init__(self, plan: Plan, patterns: Sequence[Pattern], network: Network, keyed: HashRandom) -> None:
        self._plan, self._patterns, self._network, self._keyed = plan, patterns, network, keyed
        self._nodes = {node.name: node for node in network.nodes}
        scale = max((plan.end - plan.start) / (90 * 86_400), 1 / CUSTOMERS.orders_in_90_days)
        self._orders_each = CUSTOMERS.orders_in_90_days * scale
        self._people: dict[str, People] = {}

    def cast(self) -> EntityAssignment:
        """All rows in the order of time."""
        parts = [*self._honest(), *self._attackers()]
        together = EntityAssignment(**{
            field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(EntityAssignment)
        })  # fmt: skip
        return together[np.argsort(together.times, kind="stable")]

    def _honest(self) -> Iterable[EntityAssignment]:
        """Patterns whose people are alike share them; each kind of people has the rows of all its patterns."""
        kinds: dict[str, list[int]] = {}
        for number, pattern in enumerate(self._patterns):
            if not pattern.is_abuse and self._plan.counts[number]:
                kinds.setdefault(self._kind(pattern), []).append(number)
        for kind, numbers in kinds.items():
            of = np.repeat(np.array(numbers), [self._plan.counts[number] for number in numbers])
            times = np.concatenate([self._times(number) for number in numbers])
            rows = self._keyed.words(np.arange(len(of)), f"rows {kind}")
            age = self._age(of, self._keyed.sixteen(rows, "account_age_days"))
            since = opened(self._keyed, rows, times, age.astype(np.int64))
            founders = np.argsort(rows, kind="stable")[: max(1, round(len(rows) / self._orders_each))]
            people = self._people[kind] = People(self._keyed, kind, since[founders], CUSTOMERS)
            yield self._customers(people, of, times, rows, age, since)

    def _kind(self, pattern: Pattern) -> str:
        """The first pattern whose people are like this one's."""
        own = [pattern.nodes[name] for name in OF_A_PERSON]
        alike = (one.name for one in self._patterns if [one.nodes[name] for name in OF_A_PERSON] == own)
        return next(alike)

    def _customers(
        self, people: People, pattern: Ints, times: Ints, rows: Owners, age: NDArray[np.uint8], since: Ints
    ) -> EntityAssignment:
        keyed, how = self._keyed, CUSTOMERS
        found = people.at_age(keyed, rows, times, age.astype(np.int64))
        known, place = found >= 0, np.maximum(found, 0)
        person = np.where(known, people.who[place], rows)
        home = np.where(known, people.home[place], rows)
        is_new = self._new_device(pattern, age, rows)
        # The first device of a new account is new to it whatever it is.
        other = (is_new == 1) & (age > 0)
        shared = known & people.in_family[place] & keyed.happens(rows, "family device", how.on_family_device)
        device = np.where(shared, keyed.words(home, "family device"), _devices(keyed, person, rows, how))
        device = np.where(other, keyed.words(rows, "device of once"), device)
        return EntityAssignment(
            times, pattern, age, is_new, np.where(known, people.since[place], since), person, home, device,
            _cards(keyed, person, rows, how), rows, np.where(keyed.happens(rows, "at home", how.at_home), home, rows), person,
        )  # fmt: skip

    def _attackers(self) -> Iterable[EntityAssignment]:
        for number, pattern in enumerate(self._patterns):
            if pattern.is_abuse and (rows := self._plan.counts[number]):
                campaign = CAMPAIGNS[pattern.abuse_type]
                timeline = Timeline(pattern.week, self._plan.start, self._plan.end)
                acts = act(self._keyed, pattern.name, rows, campaign, timeline)
                yield self._attack(number, acts, campaign)

    def _attack(self, number: int, acts: Acts, campaign: Campaign) -> EntityAssignment:
        keyed, count = self._keyed, len(acts.times)
        rows = keyed.words(np.arange(count), f"rows {self._patterns[number].name}")
        pattern = np.full(count, number)
        age = self._age(pattern, keyed.sixteen(acts.account, "account_age_days"))
        account, since, home, own_device, own_card = self._accounts(number, acts, rows, age, campaign)
        is_new = self._new_device(pattern, age, rows)
        device, card = acts.device, acts.card
        if campaign.takes_over:
            device = np.where(is_new == 1, device, own_device)
            card = np.where(keyed.happens(rows, "stored card", campaign.stored_card), own_card, card)
        network = np.where(keyed.happens(rows, "connection", campaign.one_connection), acts.campaign, rows)
        spender = account if campaign.takes_over else acts.campaign
        return EntityAssignment(
            acts.times, pattern, age, is_new, since, account, home, device, card, network, network, spender
        )

    def _accounts(
        self, number: int, acts: Acts, rows: Owners, age: NDArray[np.uint8], campaign: Campaign
    ) -> tuple[Owners, Ints, Owners, Owners, Owners]:
        """By row: the account, when it was opened, its home, and the device and card that are its own."""
        keyed, times, ages = self._keyed, acts.times, age.astype(np.int64)
        first = np.ones(len(rows), np.bool_)
        first[1:] = acts.account[1:] != acts.account[:-1]
        lead = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
        people = self._people.get(self._kind(self._patterns[number])) if campaign.takes_over else None
        anew = opened(keyed, rows, times, ages)
        who, since, home = acts.account, anew[lead], acts.account
        if people is not None:
            alone = people.at_age(keyed, rows, times, ages)
            place = alone[lead]
            stays = (place >= 0) & fits(times, ages, people.since[np.maximum(place, 0)])
            place = np.where(stays, place, alone)  # an account that has become too old gives way to another
            there, at = place >= 0, np.maximum(place, 0)
            who, home = np.where(there, people.who[at], rows), np.where(there, people.home[at], rows)
            since = np.where(there, people.since[at], anew)
        else:
            stays = fits(times, ages, since)
            who, home, since = np.where(stays, who, rows), np.where(stays, home, rows), np.where(stays, since, anew)
        return who, since, home, _devices(keyed, who, rows, CUSTOMERS), _cards(keyed, who, rows, CUSTOMERS)

    def _age(self, pattern: Ints, sixteen: NDArray[np.uint16]) -> NDArray[np.uint8]:
        return draw_node(self._nodes["account_age_days"], pattern, {}, sixteen)

    def _new_device(self, pattern: Ints, age: NDArray[np.uint8], rows: Owners) -> NDArray[np.uint8]:
        codes = {"account_age_days": age}
        node = self._nodes["new_device"]
        codes |= {name: read(name, codes) for name in node.parents}
        return draw_node(node, pattern, codes, self._keyed.sixteen(rows, "new_device"))

    def _times(self, number: int) -> Ints:
        pattern, rows = self._patterns[number], self._plan.counts[number]
        timeline = Timeline(pattern.week, self._plan.start, self._plan.end)
        return timeline.times_at(self._keyed.up_to(np.arange(rows), f"{pattern.name} times", timeline.total))


def _devices(keyed: HashRandom, person: Owners, rows: Owners, how: Customers) -> Owners:
    second = keyed.happens(rows, "second device", how.second_device)
    return np.where(second, keyed.words(person, "second device"), keyed.words(person, "device"))


def _cards(keyed: HashRandom, person: Owners, rows: Owners, how: Customers) -> Owners:
    second = keyed.happens(rows, "second card", how.second_card)
    return np.where(second, keyed.words(person, "second card"), keyed.words(person, "card"))
