"""Times on the console's pages: bars on whole hours, and texts without a zone are UTC in any server zone."""

import datetime as dt
import re

from hypothesis import given
from hypothesis import strategies as st

from console.views.hours import BAR_SECONDS, bars_of, first_begin
from tests.console.conftest import Desk

TIMES = st.floats(1.5e9, 2.0e9)


@given(TIMES, st.sampled_from(sorted(BAR_SECONDS)), st.lists(st.floats(-100, 200 * 3600), max_size=20))
def test_each_decision_is_in_the_bar_of_its_hour(now: float, hours: int, ages: list[float]) -> None:
    """A decision counts in the bar of its hour; one in the future or before the first bar counts in none."""
    decisions = [(now - age, "deny") for age in ages]
    bars = bars_of(decisions, now, hours)
    length = BAR_SECONDS[hours]
    assert len(bars) * length == hours * 3600
    assert all(bar.begin % length == 0 for bar in bars)
    assert bars[-1].begin <= now < bars[-1].begin + length
    for bar in bars:
        assert bar.total == sum(bar.begin <= at < bar.begin + length for at, _ in decisions)
    assert first_begin(now, hours) == bars[0].begin


def test_times_without_a_zone_are_utc(desk: Desk) -> None:
    """With the console in New York, a current order is found from an hour ago in UTC, and not from an hour ahead."""
    assert desk.stack.settings["TZ"] == "America/New_York"
    order, ada = desk.order().transaction_id, desk.signed_in("ada")
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    for hours, is_found in ((-1, True), (1, False)):
        since = (now + dt.timedelta(hours=hours)).isoformat(timespec="minutes")
        for zone in ("", "Z"):
            page = ada.get("/decisions", params={"since": since + zone, "transaction_id": order}).text
            assert (page.count("<tr data-row>") > 0) == is_found, (since, zone)
    hour = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H}:00 UTC"
    rows = re.findall(r"<tr><td><time[^>]*>([^<]*)</time></td>(.*?)</tr>", ada.get("/overview").text)
    assert rows[-1][0] == hour or rows[-2][0] == hour, "the hour may just have ended"
