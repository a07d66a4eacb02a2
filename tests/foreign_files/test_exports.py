"""Seventeen export formats: suggested, trained on, scored and imported without a change to the mapping."""

import csv
from pathlib import Path

import pytest
import yaml

from ml_server.data.datasets import sample
from ml_server.data.mapping import Report, read_mapping
from ml_server.data.preview import preview
from ml_server.data.suggestion.suggest import suggest
from testing.inputs.exports import EXPORTS, Order, make_orders
from testing.servers.processes import call

ORDERS = make_orders()
UNTIMED = {"credit_card_components.csv", "card_not_present.csv", "mobile_money.csv"}
"""Formats whose times count from a day that the file does not name."""


def _write(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(EXPORTS[name](ORDERS))
    return path


def _run(*arguments: str | Path) -> str:
    done = call(*map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_as_its_orders_without_changing_the_suggestion(name: str, tmp_path: Path) -> None:
    """Each order of the shop is read once, with its own time, amount and label, by the mapping that is suggested."""
    path = _write(name, tmp_path)
    _run("mapping", "suggest", path, "--output", tmp_path / "m.yaml")
    orders = preview(path, read_mapping(tmp_path / "m.yaml"), len(ORDERS) + 1, Report())
    values = [{value.name: value.value for value in order.values} for order in orders]
    assert len(values) == len(ORDERS)
    assert [value["is_abuse"] for value in values] == [order.is_abuse for order in ORDERS]
    for value, order in zip(values, ORDERS, strict=True):
        assert value["order_amount"] == pytest.approx(_amount(name, order), abs=0.006)
        if name not in UNTIMED:
            seconds = abs((value["timestamp"] - order.at.replace(tzinfo=None)).total_seconds())
            assert seconds < 60 or (
                name in ("woocommerce.csv", "excel_in_europe.csv", "magento.csv") and seconds <= 7200
            )
    customers = {(value["user_id"], order.customer) for value, order in zip(values, ORDERS, strict=True)}
    assert len({user for user, _ in customers}) == len(customers) or name == "first_purchases.csv"


def _amount(name: str, order: Order) -> float:
    if name == "first_purchases.csv":
        return int(order.amount)
    return order.amount + (5 if name == "amazon.txt" and order.number % 4 == 0 else 0)


@pytest.mark.parametrize("name", EXPORTS)
def test_no_export_puts_a_person_or_an_outcome_into_a_model(name: str, tmp_path: Path) -> None:
    """No feature of a suggested mapping contains a name, an e-mail or IP address, a street, a phone number or an outcome."""
    frame = sample(_write(name, tmp_path))
    persons = {text for order in ORDERS for text in (order.email, order.name, order.address, order.name.split()[0])}
    for guess in suggest(frame).guesses:
        if guess.role in ("numeric", "categorical"):
            values = set(frame[guess.column].dropna().astype(str))
            assert not values & persons
            assert not any(
                "Invented" in value or "fraud" in value.casefold().replace("fraud_shop", "") for value in values
            )


@pytest.mark.parametrize("name", ["shopify.csv", "paypal.csv", "mobile_money.csv"])
def test_an_export_goes_through_all_commands(name: str, tmp_path: Path) -> None:
    """Train, score and import a history, all by the suggested mapping, give a model, a score and an attempt for each order."""
    path, mapping, models = _write(name, tmp_path), tmp_path / "m.yaml", tmp_path / "models"
    mapping.write_text(_run("mapping", "suggest", path))
    _run("train", "--dataset", path, "--mapping", mapping, "--models-dir", models, "--rounds", "3", "--form", "tables")
    _run("score", path, "--mapping", mapping, "--models-dir", models, "--output", tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open() as file:
        scores = [float(row["legitimacy_score"]) for row in csv.DictReader(file)]
    assert len(scores) == len(ORDERS)
    assert len(set(scores)) > 10
    ledger = f"sqlite:///{tmp_path / 'ledger.db'}"
    assert f"{len(ORDERS):,} new" in _run("history", "import", path, "--mapping", mapping, "--ledger", ledger)


def test_a_recognized_export_says_so_and_asks_what_it_cannot_know(tmp_path: Path) -> None:
    """The suggestion names the format; without a marked order it says that training needs a label."""
    path = tmp_path / "shopify.csv"
    path.write_bytes(EXPORTS["shopify.csv"]([order for order in ORDERS if not order.is_abuse]))
    text = _run("mapping", "suggest", path)
    assert "looks like an export of Shopify orders" in text
    assert "# label: no column looks like one" in text
    assert "label" not in yaml.safe_load(text)


def test_check_shows_orders_beside_their_cells(tmp_path: Path) -> None:
    """`vouch mapping check` shows what was read, from which cells, of the first orders, and what was found on the way."""
    path, mapping = _write("paypal.csv", tmp_path), tmp_path / "m.yaml"
    mapping.write_text(_run("mapping", "suggest", path))
    shown = _run("mapping", "check", path, "--mapping", mapping, "--orders", "2")
    assert shown.count("transaction_id") == 2
    assert "Date: '20/02/2026'; Time: '05:37:00'; TimeZone: 'CET'" in shown
    assert "2026-02-20 04:37:00" in shown
    assert "40 of 460 rows are no orders and left out" in shown
