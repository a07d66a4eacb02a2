"""Distributions that several patterns share."""

from collections.abc import Mapping
from typing import Any

from data_gen.language import vocabulary as words
from data_gen.language.distributions import By, Choice, Distribution, Each, Frequencies, LogNormal, Mix, SameAs, always
from data_gen.language.timeline import Week

# Weights by hour (UTC) and by day from Monday.
SHOPPING_WEEK = Week(
    hours=(20, 12, 8, 6, 6, 8, 14, 24, 36, 46, 52, 56, 60, 60, 58, 58, 62, 70, 82, 94, 98, 88, 64, 38),
    days=(98, 96, 98, 100, 104, 112, 118),
)
NIGHT_WEEK = Week(
    hours=(54, 56, 58, 56, 52, 46, 40, 36, 36, 38, 42, 44, 46, 46, 46, 46, 48, 52, 56, 60, 62, 60, 58, 56),
    days=(100, 100, 100, 100, 100, 102, 104),
)

ANYWHERE = Frequencies(words.COUNTRIES)
PROXY_EXIT = Frequencies(words.PROXY_COUNTRIES)

AGENTS = By(
    "device_type",
    {
        "desktop": Frequencies(words.DESKTOP_AGENTS),
        "mobile": Frequencies(words.MOBILE_AGENTS),
        "tablet": Frequencies(words.TABLET_AGENTS),
    },
)


def mail(free: float, private: float, disposable: float) -> Distribution:
    """Return mail domains, given the probabilities of free, private or company, and disposable ones."""
    weights: dict[Any, float] = {}
    for total, group in ((free, words.FREE_MAIL), (private, words.PRIVATE_MAIL), (disposable, words.DISPOSABLE_MAIL)):
        weights |= {name: total * weight / sum(group.values()) for name, weight in group.items()}
    return Choice(weights)


def agents(bots: float) -> Distribution:
    """Return a browser that fits the device, or with probability `bots` a script."""
    return Mix(bots, Frequencies(words.BOT_AGENTS), AGENTS)


def near_home(share: float, otherwise: Distribution = ANYWHERE) -> Distribution:
    """Return the customer's home country with this probability."""
    return SameAs("home_country", share, otherwise)


def card_from(country: Distribution) -> Distribution:
    """Return the issuing country of the card, if one is used."""
    return By("pays_by_card", {True: country, False: always(None)})


def seen_from(at_home: float, behind_vpn: float) -> Distribution:
    """Return the country of the IP address: home with the first probability, or with the second behind a VPN."""
    return By("vpn_proxy_detected", {False: near_home(at_home), True: SameAs("home_country", behind_vpn, PROXY_EXIT)})


def card_check(passed: float, failed: float) -> Distribution:
    """Return the result of the security code check."""
    checked = Choice({"pass": passed, "fail": failed, "not_checked": 1 - passed - failed})
    return By("pays_by_card", {True: checked, False: always("not_checked")})


def address_check(full: float, partial: float) -> Distribution:
    """Return the result of the address verification; foreign banks mostly cannot answer."""
    checked = Choice({"full_match": full, "partial_match": partial, "no_match": 1 - full - partial})
    abroad = Choice({"full_match": full * 0.4, "partial_match": 0.3, "no_match": 0.7 - full * 0.4})
    by_bank = By("card_from_elsewhere", {False: checked, True: abroad})
    return By("pays_by_card", {True: by_bank, False: always(None)})


def secure(authenticated: float, attempted: float, failed: float) -> Distribution:
    """Return the result of 3-D Secure."""
    shares = {"authenticated": authenticated, "attempted": attempted, "failed": failed}
    result = Choice({**shares, "not_enrolled": 1 - sum(shares.values())})
    return By("pays_by_card", {True: result, False: always(None)})


def processor(declined: float, suspected: float) -> Distribution:
    """Return the processor's response; a wrong security code makes a refusal six times as probable."""

    def answers(factor: float) -> Choice:
        no, suspicious = min(declined * factor, 0.6), min(suspected * factor, 0.3)
        return Choice({"approved": 1 - no - suspicious, "declined": no, "suspected_fraud": suspicious})

    return By("cvv_check_result", {"fail": answers(6)}, default=answers(1))


# Median order value in cents by average band; 0 is a customer without earlier orders.
_TYPICAL = {0: 5500, 1: 1400, 2034: 2900, 4050: 5700, 8064: 11400, 16055: 22600, 31965: 48000}


def spends(first: float, ratio: float, sigma: float, risky: float = 1.5) -> Distribution:
    """Return the order value in cents: around `first` without history, else `ratio` times the customer's average.

    `sigma` is the spread of its logarithm; goods that are easy to resell cost `risky` times as much.
    """

    def given_average(low: int) -> Mapping[bool, Distribution]:
        median = first if low == 0 else ratio * _TYPICAL[low]
        return {False: LogNormal(median, sigma), True: LogNormal(median * risky, sigma)}

    by_average = {low: By("high_risk_category", given_average(low)) for low in _TYPICAL}
    return By("average_band", by_average)


def by_age(**bands: Distribution) -> Distribution:
    """Return distributions by account age: `days0`, `week1`, `month1`, `quarter1`, `year1`, `years3` and `older`."""
    lows = {"days0": 0, "week1": 1, "month1": 7, "quarter1": 31, "year1": 86, "years3": 363, "older": 1105}
    return By("age_band", {lows[name]: distribution for name, distribution in bands.items()})


def once_there(distribution: Distribution, from_band: int) -> Distribution:
    """Return the distribution for accounts of at least `from_band` days, zero for younger ones."""
    return Each("age_band", lambda low: distribution if low >= from_band else always(0))
