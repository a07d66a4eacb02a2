"""Campaigns of attackers: rows of a pattern, grouped into successive accounts, cards and devices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_gen.language.distributions import Distribution, Geometric, LogNormal
from data_gen.language.domains import Bins, widening
from data_gen.language.timeline import Seconds, Timeline
from data_gen.stream.behaviour import Campaign, CardTesting
from data_gen.stream.hash_random import HashRandom, Owners
from data_gen.stream.people import sample_bins

_ORDERS = widening(1, 400, 400)
_TESTS = widening(1, 6000, 200)
_MINUTES = widening(5, 90 * 24 * 60, 120, 5)


@dataclass(frozen=True)
class CampaignRows:
    """Rows of one pattern, grouped by campaign and ordered by time within a campaign."""

    times: Seconds
    campaign: Owners
    account: Owners
    card: Owners
    device: Owners
    network: Owners
    """The connection of rows that do not have one of their own."""


def assign_campaigns(rng: HashRandom, name: str, rows: int, campaign: Campaign, timeline: Timeline) -> CampaignRows:
    """Group this number of rows into campaigns.

    Start and duration of a campaign are measured in the pattern's weight, not in seconds, and rows past the end of the
    span are mirrored at it. So the hours of all rows follow the pattern.
    """
    number, guess = np.arange(rows), np.arange(max(8, round(rows / campaign.orders * 2) + 8))
    while True:
        ends = np.cumsum(sample_bins(rng, guess, f"{name} orders", *_sizes(campaign)))
        if ends[-1] >= rows:
            break
        guess = np.arange(len(guess) * 2)  # the campaigns drawn so far are too small
    of = np.searchsorted(ends, number, side="right")
    lasts = sample_bins(rng, guess, f"{name} minutes", campaign.hours, _MINUTES)
    weight = np.minimum(lasts * 60 * (timeline.total // (timeline.end - timeline.start)), timeline.total - 1)
    begins = rng.up_to(guess, f"{name} begins", timeline.total)
    place = begins[of] + (weight[of] * (rng.up_to(number, f"{name} within", 1 << 52) * 2.0**-52)).astype(np.int64)
    place = np.where(place >= timeline.total, 2 * timeline.total - 1 - place, place)
    times = timeline.times_at(place)
    order = np.lexsort((number, times, of))
    of, times = of[order], times[order]
    starts = np.ones(rows, np.bool_)
    starts[1:] = of[1:] != of[:-1]

    def successive(what: str, chance: float) -> Owners:
        """Return owners that follow one another, beginning anew with each campaign."""
        turns: NDArray[np.int64] = np.cumsum(starts | rng.happens(number, f"{name} next {what}", chance))
        return rng.words(turns, f"{name} {what}")

    own = rng.words(of, f"{name} campaign")
    network = own
    if isinstance(campaign, CardTesting) and campaign.addresses > 1:
        connection = rng.below(number, f"{name} connection", campaign.addresses)
        network = rng.words(own + connection.astype(np.uint64), f"{name} network")
    return CampaignRows(
        times, own, successive("account", campaign.new_account), successive("card", campaign.new_card),
        successive("device", campaign.new_device), network,
    )  # fmt: skip


def _sizes(campaign: Campaign) -> tuple[Distribution, Bins]:
    """Return the distribution of a campaign's orders. Card tests go through a list of cards of about a given length."""
    if isinstance(campaign, CardTesting):
        return LogNormal(campaign.orders, sigma=0.2), _TESTS
    return Geometric(campaign.orders - 1, start=1), _ORDERS
