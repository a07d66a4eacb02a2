"""Tables with the columns of public data sets."""

import datetime as dt
import zlib

import numpy as np

from testing.inputs.exports.orders import Order, as_csv


def credit_card_components(orders: list[Order]) -> bytes:
    """Return a table with the columns of ULB's card table: seconds, principal components, amount, class."""
    rng, start = np.random.default_rng(1), orders[0].at
    rows = [
        ((order.at - start).total_seconds(), *(f"{value:.6f}" for value in rng.normal(2.0 * order.is_abuse, 1, 28)), order.amount, int(order.is_abuse))
        for order in orders
    ]  # fmt: skip
    return as_csv(["Time", *(f"V{number}" for number in range(1, 29)), "Amount", "Class"], rows).encode()


def card_not_present(orders: list[Order]) -> bytes:
    """Return a table with the columns of IEEE-CIS: seconds since an unknown day, card1 to card6, e-mail domains, counts."""
    header = [
        "TransactionID",
        "isFraud",
        "TransactionDT",
        "TransactionAmt",
        "ProductCD",
        "card1",
        "card2",
        "card4",
        "card6",
        "addr1",
        "P_emaildomain",
        "R_emaildomain",
        "C1",
        "D1",
        "V1",
    ]
    start = orders[0].at
    rows = [
        (
            2_987_000 + order.number, int(order.is_abuse), 86_400 + int((order.at - start).total_seconds()), order.amount, "WCH"[order.customer % 3],
            1000 + order.customer, 100 + order.customer % 400, order.method, "debit" if order.customer % 4 else "credit", 200 + order.customer % 90,
            order.email.split("@")[1], "", 1 + order.is_abuse, order.number % 30, 1,
        )
        for order in orders
    ]  # fmt: skip
    return as_csv(header, rows).encode()


def mobile_money(orders: list[Order]) -> bytes:
    """Return a table with the columns of PaySim: hours, kinds of transfer, balances before and after."""
    header = [
        "step",
        "type",
        "amount",
        "nameOrig",
        "oldbalanceOrg",
        "newbalanceOrig",
        "nameDest",
        "oldbalanceDest",
        "newbalanceDest",
        "isFraud",
        "isFlaggedFraud",
    ]
    start = orders[0].at
    rows = [
        (
            1 + int((order.at - start).total_seconds() // 3600), ("TRANSFER" if order.is_abuse else ("PAYMENT", "CASH_OUT", "TRANSFER")[order.number % 3]), order.amount,
            f"C{1_000_000 + order.customer}", order.amount + (0 if order.is_abuse else 100), 0 if order.is_abuse else 100, f"M{order.number % 40}", 0, 0,
            int(order.is_abuse), 0,
        )
        for order in orders
    ]  # fmt: skip
    return as_csv(header, rows).encode()


def simulated_cards(orders: list[Order]) -> bytes:
    """Return a table with the columns of the Sparkov generator: card numbers, persons, places and jobs."""
    header = [
        "",
        "trans_date_trans_time",
        "cc_num",
        "merchant",
        "category",
        "amt",
        "first",
        "last",
        "gender",
        "street",
        "city",
        "state",
        "zip",
        "lat",
        "long",
        "city_pop",
        "job",
        "dob",
        "trans_num",
        "unix_time",
        "merch_lat",
        "merch_long",
        "is_fraud",
    ]
    rows = [
        (
            row, order.at.strftime("%Y-%m-%d %H:%M:%S"), 4_000_000_000_000 + order.customer, f"fraud_Shop {order.number % 30}", ("misc_net", "grocery_pos", "home")[order.number % 3],
            order.amount, *order.name.split(), "MF"[order.customer % 2], f"{order.customer} Invented Street", "Townsville", "NE", 10000 + order.customer, 40 + order.customer / 1000,
            -90 - order.customer / 1000, 1000 + order.customer % 77, f"Job {order.customer % 20}", "1980-01-02", f"{zlib.crc32(str(order.number).encode()):032x}",
            int(order.at.timestamp()), 41.5, -91.5, int(order.is_abuse),
        )
        for row, order in enumerate(orders)
    ]  # fmt: skip
    return as_csv(header, rows).encode()


def handbook(orders: list[Order]) -> bytes:
    """Return a table with the columns of the fraud-detection handbook: terminals, seconds and days counted, scenarios."""
    header = [
        "TRANSACTION_ID",
        "TX_DATETIME",
        "CUSTOMER_ID",
        "TERMINAL_ID",
        "TX_AMOUNT",
        "TX_TIME_SECONDS",
        "TX_TIME_DAYS",
        "TX_FRAUD",
        "TX_FRAUD_SCENARIO",
    ]
    start = orders[0].at
    rows = [
        (
            order.number, order.at.strftime("%Y-%m-%d %H:%M:%S"), order.customer, order.number % 50, order.amount, int((order.at - start).total_seconds()),
            (order.at - start).days, int(order.is_abuse), 2 if order.is_abuse else 0,
        )
        for order in orders
    ]  # fmt: skip
    return as_csv(header, rows).encode()


def first_purchases(orders: list[Order]) -> bytes:
    """Return a table of first purchases: sign-up and purchase times, device, browser, age, address as a number."""
    header = [
        "user_id",
        "signup_time",
        "purchase_time",
        "purchase_value",
        "device_id",
        "source",
        "browser",
        "sex",
        "age",
        "ip_address",
        "class",
    ]
    rows = [
        (
            100_000 + order.number, (order.at - dt.timedelta(days=0 if order.is_abuse else 1 + order.number % 90)).strftime("%Y-%m-%d %H:%M:%S"),
            order.at.strftime("%Y-%m-%d %H:%M:%S"), int(order.amount), f"DEV{order.card}", ("SEO", "Ads", "Direct")[order.number % 3],
            ("Chrome", "Safari")[order.number % 2], "MF"[order.customer % 2], 20 + order.customer % 50, f"{3_405_803_776 + order.customer % 250}.5", int(order.is_abuse),
        )
        for order in orders
    ]  # fmt: skip
    return as_csv(header, rows).encode()


def merchant_acquirer(orders: list[Order]) -> bytes:
    """Return a table of an acquirer: masked card numbers, ISO times with some fractions, has_cbk."""
    header = [
        "transaction_id",
        "merchant_id",
        "user_id",
        "card_number",
        "transaction_date",
        "transaction_amount",
        "device_id",
        "has_cbk",
    ]
    rows = [
        (
            order.number, 29_000 + order.number % 30, 90_000 + order.customer, f"434505******{order.customer % 10_000:04d}",
            order.at.strftime("%Y-%m-%dT%H:%M:%S") + (".245913" if order.number % 3 else ""), order.amount, 28_000 + order.customer if order.number % 5 else "",
            "TRUE" if order.is_abuse else "FALSE",
        )
        for order in orders
    ]  # fmt: skip
    return as_csv(header, rows).encode()
