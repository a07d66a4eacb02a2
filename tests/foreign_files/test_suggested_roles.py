"""What `vouch mapping suggest` makes of columns: persons and outcomes are no features, labels are the right way round."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_server.data.label_leaks import leak_warning
from ml_server.data.suggestion.guess import Guess
from ml_server.data.suggestion.suggest import suggest

ROWS = 300
RNG = np.random.default_rng(3)
USERS = [f"u{number % 60}" for number in range(ROWS)]
NAMES = [f"{first} {last}" for first in ("Ada", "Bao", "Chiara", "Dmitri", "Elif", "Femi") for last in "KLMNOPQRST"]
REST, EMPTY = {"others": "honest"}, {"empty": "honest"}


def _guesses(**columns: Sequence[Any]) -> dict[str, Guess]:
    """Return the guesses for a file with these columns beside times, customers and amounts, by column."""
    frame = pd.DataFrame(
        {
            "placed": pd.date_range("2026-01-01", periods=ROWS, freq="3h").strftime("%Y-%m-%d %H:%M:%S"),
            "customer": USERS,
            "amount": RNG.lognormal(3, 1, ROWS).round(2),
            **columns,
        }
    )
    return {guess.column: guess for guess in suggest(frame).guesses}


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("contact", [f"p{number % 60}@example.org" for number in range(ROWS)], "e-mail addresses"),
        ("reach", [f"+49 30 {number % 60:07d}" for number in range(ROWS)], "phone numbers"),
        ("cell", [f"(030) {number % 60:06d}" for number in range(ROWS)], "phone numbers"),
        ("where", [f"{number % 60 + 1} Invented Street" for number in range(ROWS)], "postal addresses"),
        ("wohin", [f"Erfundene Straße {number % 60 + 1}" for number in range(ROWS)], "postal addresses"),
        ("origin", [f"203.0.113.{number % 60}" for number in range(ROWS)], "IP addresses"),
        ("Customer Name", [NAMES[number % 60] for number in range(ROWS)], "describes persons"),
        ("who", [NAMES[number % 60] for number in range(ROWS)], "identifies them"),
        ("zip", [10_000 + number % 60 for number in range(ROWS)], "identifies them"),
        ("Note Attributes", [f"ip: 203.0.113.{number % 60}" for number in range(ROWS)], "describes persons"),
    ],
)
def test_columns_of_persons_are_unused(column: str, values: list[Any], reason: str) -> None:
    """A column that identifies persons, by its values or else by its name, is no feature, and the reason is given."""
    others = {"mail": [f"p{number % 60}@example.org" for number in range(ROWS)]}  # email_domain is taken
    guess = _guesses(**others, **{column: values})[column]
    assert guess.role == "unused"
    assert reason in guess.reason


def test_an_email_column_gives_the_domain_whatever_its_name_is() -> None:
    """The first column of e-mail addresses becomes email_domain."""
    guess = _guesses(kontakt=[f"p{number % 60}@example.org" for number in range(ROWS)])["kontakt"]
    assert (guess.role, guess.name) == ("field", "email_domain")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("product", ["Blue Mug", "Red Plate", "Tea Pot"]),
        ("category", ["grocery_pos", "misc_net", "home"]),
        ("shipping_method", ["Standard", "Express"]),
        ("email_verified_by", ["link", "code"]),
        ("address_match_level", ["full", "none"]),
        ("shop", ["fraud_Shop 1", "fraud_Shop 2", "fraud_Shop 3"]),
    ],
)
def test_columns_of_things_stay_categories(column: str, values: list[str]) -> None:
    """Products, categories and ways of delivery are features, though they contain words and capital letters."""
    guess = _guesses(**{column: [values[number % len(values)] for number in range(ROWS)]})[column]
    assert (guess.role, guess.name) == ("categorical", column)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("Financial Status", ["paid", "refunded", "partially_refunded"]),
        ("Status", ["complete", "processing", "Charged back"]),
        ("state", ["settled", "disputed"]),
        ("Zustand", ["bezahlt", "storniert"]),
        ("outcome", ["ok", "lost"]),
        ("chargeback_reason", ["x", "y"]),
        ("refund_amount", [0, 12]),
    ],
)
def test_states_after_the_decision_are_unused(column: str, values: list[Any]) -> None:
    """A column with states or words that are known only after the decision is no feature, whatever its name is."""
    is_abuse = [int(number % 10 == 0) for number in range(ROWS)]
    guess = _guesses(is_fraud=is_abuse, **{column: [values[number % len(values)] for number in range(ROWS)]})[column]
    assert guess.role == "unused"
    assert "known only after the outcome" in guess.reason


@pytest.mark.parametrize(
    ("column", "good", "bad", "expected"),
    [
        ("fraud_check_passed", "TRUE", "FALSE", "FALSE"),
        ("not_fraud", 1, 0, "0"),
        ("is_fraud", 0, 1, "1"),
        ("has_cbk", False, True, "True"),
        ("fraud_result", "legit", "mule", "mule"),
        ("Betrug", "nein", "ja", "ja"),
    ],
)
def test_the_label_is_the_right_way_round(column: str, good: Any, bad: Any, expected: str) -> None:
    """Words and negations in the name or the values decide which value is abuse."""
    guess = _guesses(**{column: [bad if number % 12 == 0 else good for number in range(ROWS)]})[column]
    assert guess.role == "label"
    assert guess.source == {"from": column, "abuse": expected}


@pytest.mark.parametrize("column", ["fraud_checked", "fraud_screened_ok"])
def test_a_label_that_would_make_most_rows_abuse_is_not_proposed(column: str) -> None:
    """A column whose words do not say which value means abuse, or that would call most rows abuse, is no label."""
    values = ["yes" if number % 12 else "no" for number in range(ROWS)]
    guess = _guesses(**{column: values})[column]
    assert guess.role != "label" or guess.options["abuse"] == "no"


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("Dispute Reason", [None, None, None, "fraudulent", "duplicate"], {"abuse": "fraudulent", **REST, **EMPTY}),
        ("Chargeback", [None, None, None, "Yes"], {"abuse": "Yes", **REST, **EMPTY}),
        ("Tags", ["vip", None, "vip, chargeback", None], {"abuse": "chargeback", **REST, **EMPTY, "split": ","}),
        ("Status", ["complete", "closed", "SUSPECTED_FRAUD"], {"abuse": "SUSPECTED_FRAUD", **REST}),
    ],
)  # fmt: skip
def test_a_column_that_marks_only_abuse_is_a_label(column: str, values: list[Any], expected: dict[str, Any]) -> None:
    """Where no column has two values, one in which some values or tags mark abuse is proposed, all else as honest."""
    guess = _guesses(**{column: [values[number % len(values)] for number in range(ROWS)]})[column]
    assert guess.role == "label"
    assert guess.source == {"from": column, **expected}


def test_dates_come_before_numbers_and_ids_are_no_times() -> None:
    """A reference of 16 digits is not read as microseconds if the file has a column of dates."""
    frame = pd.DataFrame(
        {
            "reference": np.arange(8_815_300_000_000_000, 8_815_300_000_000_000 + ROWS),
            "kind of day": pd.date_range("2026-01-01", periods=ROWS, freq="3h").strftime("%Y-%m-%d %H:%M:%S"),
        }
    )
    times = [guess.column for guess in suggest(frame).guesses if guess.name == "timestamp"]
    assert times == ["kind of day"]


def test_ambiguous_dates_are_asked_with_both_readings() -> None:
    """If day and month can be exchanged, the reading in the order of the rows is taken, and both are shown."""
    days = [f"{1 + number % 12:02d}/{1 + number // 100:02d}/2026" for number in range(ROWS)]
    guess = next(
        one for one in suggest(pd.DataFrame({"placed": days, "x": range(ROWS)})).guesses if one.name == "timestamp"
    )
    assert "1 January 2026" in guess.reason or "may be" in guess.reason
    american = [f"{1 + number // 100:02d}/{1 + number % 100 // 9:02d}/2026" for number in range(ROWS)]
    frame = pd.DataFrame({"placed": american, "x": range(ROWS)})
    guess = next(one for one in suggest(frame).guesses if one.name == "timestamp")
    assert guess.options == {"format": "mdy"}


@pytest.mark.parametrize("kind", ["text", "number"])
def test_a_column_that_tells_the_label_alone_is_suspect(kind: str) -> None:
    """A column from which nearly all abuse follows is warned about, one that only helps is not."""
    is_abuse = np.array([float(number % 10 == 0) for number in range(2000)])
    leak, helps = is_abuse * 5 + RNG.normal(0, 0.1, 2000), is_abuse + RNG.normal(0, 1, 2000)
    if kind == "text":
        leak, helps = (np.array([f"v{round(value)}" for value in column]) for column in (leak, helps))
    assert "known only afterwards?" in (leak_warning("state", pd.Series(leak), is_abuse) or "")
    assert leak_warning("state", pd.Series(helps), is_abuse) is None
