"""Attackers: rows of a pattern in campaigns, and within a campaign in accounts, cards and devices that follow one another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_gen.language.distributions import Geometric
from data_gen.language.domains import widening
from data_gen.language.timeline import Seconds, Timeline
from data_gen.stream.behaviour import Campaign
from data_gen.stream.hash_random import HashRandom, Owners
from data_gen.stream.people import drawn

_ORDERS = widening(1, 400, 400)
_MINUTES = widening(5, 90 * 24 * 60, 120, 5)


@dataclass(frozen=True)
class Acts:
    """Rows of one pattern, those of a campaign beside each other and in the order of time."""

    times: Seconds
    campaign: Owners
    account: Owners
    card: Owners
    device: Owners


def act(keyed: HashRandom, name: str, rows: int, campaign: Campaign, timeline: Timeline) -> Acts:
    """So many rows in campaigns.

    A campaign begins anywhere and goes on for its time, both measured in the pattern's own weight and not in seconds, and what
    would pass the end of the span is mirrored at it: so the hours of all rows are those of the pattern.
    """
    number, guess = np.arange(rows), np.arange(max(8, round(rows / campaign.orders * 2) + 8))
    while True:
        ends = np.cumsum(drawn(keyed, guess, f"{name} orders", Geometric(campaign.orders - 1, start=1), _ORDERS))
        if ends[-1] >= rows:
            break
        guess = np.arange(len(guess) * 2)  # a long row of small campaigns
    of = np.searchsorted(ends, number, side="right")
    lasts = drawn(keyed, guess, f"{name} minutes", campaign.hours, _MINUTES)
    weight = np.minimum(lasts * 60 * (timeline.total // (timeline.end - timeline.start)), timeline.total - 1)
    begins = keyed.up_to(guess, f"{name} begins", timeline.total)
    place = begins[of] + (weight[of] * (keyed.up_to(number, f"{name} within", 1 << 52) * 2.0**-52)).astype(np.int64)
    place = np.where(place >= timeline.total, 2 * timeline.total - 1 - place, place)
    times = timeline.times_at(place)
    order = np.lexsort((number, times, of))
    of, times = of[order], times[order]
    begun = np.ones(rows, np.bool_)
    begun[1:] = of[1:] != of[:-1]

    def followed(what: str, chance: float) -> Owners:
        """One after the other, beginning anew with each campaign."""
        turns: NDArray[np.int64] = np.cumsum(begun | keyed.happens(number, f"{name} next {what}", chance))
        return keyed.words(turns, f"{name} {what}")

    return Acts(
        times, keyed.words(of, f"{name} campaign"), followed("account", campaign.new_account),
        followed("card", campaign.new_card), followed("device", campaign.new_device),
    )  # fmt: skip
