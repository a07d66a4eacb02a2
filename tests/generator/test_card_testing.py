"""Card testing: rows by its pattern, campaigns in streams, and none of it in the default mix."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from contract.abuse_types import ABUSE_TYPES
from data_gen.output.generator import RowGenerator, batches
from data_gen.output.plan import make_plan
from data_gen.patterns import PATTERNS
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.stream.behaviour import CARD_TESTING, behaviour_parameters
from data_gen.stream.generator import StreamGenerator

MIX = {**DEFAULT_RATIOS, "legitimate": 0.5, "card_testing": 0.2}


@pytest.fixture(scope="module")
def campaigns() -> pd.DataFrame:
    """Return a stream with card testing, with each row's campaign and that campaign's addresses; (0, 0) for others."""
    generator = StreamGenerator(make_plan(15_000, MIX, PATTERNS), 11)
    table = pa.Table.from_batches(map(generator, generator.plan.chunks))
    frame: pd.DataFrame = table.to_pandas()
    frame[["campaign", "connections"]] = generator.card_tests()
    return frame


def test_the_default_mix_has_none() -> None:
    """Card testing is a kind of abuse whose share is 0, and manifests of streams without it do not describe it."""
    assert "card_testing" in ABUSE_TYPES and DEFAULT_RATIOS["card_testing"] == 0
    assert "card_testing" not in behaviour_parameters() and "card_testing" in behaviour_parameters({"card_testing"})


def test_the_stated_probability_of_rows_is_right() -> None:
    """In ten bins of the stated probability the observed abuse is within sampling error."""
    plan = make_plan(20_000, MIX, PATTERNS)
    table = pa.Table.from_batches(batches(RowGenerator(plan, 5), plan))
    stated, truth = table["abuse_confidence"].to_numpy(), table["is_abuse"].to_numpy()
    for group in np.array_split(np.argsort(stated), 10):
        expected, variance = stated[group].sum(), (stated[group] * (1 - stated[group])).sum()
        assert abs(truth[group].sum() - expected) < 4.5 * np.sqrt(variance) + 1


def test_campaigns_are_all_of_it(campaigns: pd.DataFrame) -> None:
    """Every row of card testing belongs to a campaign, no other row does, and each size has a quarter of the rows."""
    assert ((campaigns["campaign"] != 0) == (campaigns["abuse_type"] == "card_testing")).all()
    sizes = campaigns[campaigns["campaign"] != 0]["connections"].value_counts().to_dict()
    assert sizes.keys() == {one.addresses for one in CARD_TESTING}
    assert max(sizes.values()) - min(sizes.values()) <= len(PATTERNS)


def test_campaigns_walk_the_cards_of_one_bank(campaigns: pd.DataFrame) -> None:
    """A campaign has one BIN, mostly new cards, at most its number of addresses, and small amounts."""
    tests = campaigns[campaigns["campaign"] != 0]
    for _, rows in tests.groupby("campaign"):
        assert rows["card_bin"].nunique() == 1
        assert rows["ip_address"].nunique() <= rows["connections"].iloc[0]
        assert rows["card_id"].nunique() > 0.8 * len(rows)
        assert len(rows) < 60 or rows["user_id"].nunique() > 0.3 * len(rows)
    assert tests["order_amount"].median() < 0.4 * campaigns[~campaigns["is_abuse"]]["order_amount"].median()
    many = tests[tests["connections"] == 1000]
    assert many["ip_address"].nunique() > 0.5 * len(many)


def test_one_address_tests_thirty_cards_a_minute(campaigns: pd.DataFrame) -> None:
    """The campaigns of one address send about thirty attempts a minute; those of a thousand, each seldom."""
    tests = campaigns[campaigns["campaign"] != 0]
    whole = [rows for _, rows in tests[tests["connections"] == 1].groupby("campaign") if len(rows) > 100]
    pace = [len(rows) / ((rows["timestamp"].max() - rows["timestamp"].min()).total_seconds() / 60) for rows in whole]
    assert whole and 10 < np.median(pace) < 90
    by_address = tests[tests["connections"] == 1000].groupby(["campaign", "ip_address"]).size()
    assert by_address.max() <= 10
