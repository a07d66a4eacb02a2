"""Order files in the shapes in which shops, payment providers and data scientists export them; all persons are invented."""

import csv
import datetime as dt
import io
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

_FIRST: Final = ("Ada", "Bao", "Chiara", "Dmitri", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Lars")
_LAST: Final = ("Okafor", "Lindqvist", "Moreau", "Tanaka", "Weber", "Novak", "Silva", "Byrne", "Costa", "Kaur")
_COUNTRIES: Final = ("DE", "FR", "US", "ES", "NL")
_BERLIN: Final = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Order:
    """One order of the invented shop."""

    number: int
    at: dt.datetime
    customer: int
    amount: float
    country: str
    shipped_to: str
    email: str
    name: str
    card: str
    cvv_ok: bool
    method: str
    address: str
    is_abuse: bool


def make_orders(count: int = 420, seed: int = 7) -> list[Order]:
    """Return orders of about 60 days in the order of time, a tenth of them abuse, which a model can learn."""
    rng = np.random.default_rng(seed)
    minutes = np.sort(rng.choice(86_400, count, replace=False))
    result = []
    for number, minute in enumerate(minutes):
        is_abuse = bool(rng.random() < 0.1)
        customer = int(rng.integers(5000, 9000)) if is_abuse and rng.random() < 0.8 else int(rng.integers(0, 140))
        country = _COUNTRIES[customer % 5]
        name = f"{_FIRST[customer % 12]} {_LAST[customer % 10]}"
        domain = (
            "mailinator.com"
            if is_abuse and rng.random() < 0.6
            else ("gmail.com", "example.org", "web.de")[customer % 3]
        )
        result.append(
            Order(
                number=1000 + number, at=dt.datetime(2026, 2, 20, tzinfo=dt.UTC) + dt.timedelta(minutes=int(minute), seconds=number % 60),
                customer=customer, amount=round(float(rng.lognormal(4.6 if is_abuse else 3.6, 0.6)), 2) + 0.01,
                country=country, shipped_to=_COUNTRIES[int(rng.integers(5))] if is_abuse else country,
                email=f"p{customer}@{domain}", name=name, card=f"c{zlib.crc32(str(customer).encode()):08x}",
                cvv_ok=bool(rng.random() < (0.5 if is_abuse else 0.97)), method=("visa", "mastercard", "paypal")[customer % 3],
                address=f"203.0.113.{customer % 250}", is_abuse=is_abuse,
            )
        )  # fmt: skip
    return result


def _table(header: Iterable[str], rows: Iterable[Iterable[Any]], **dialect: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", **dialect)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def shopify(orders: list[Order]) -> bytes:
    """Return an orders export: a line for each article, the order's own cells only in the first; chargebacks as tags."""
    header = ["Name", "Email", "Financial Status", "Paid at", "Fulfillment Status", "Fulfilled at", "Accepts Marketing", "Currency", "Subtotal", "Shipping", "Taxes", "Total", "Discount Code", "Discount Amount", "Shipping Method", "Created at", "Lineitem quantity", "Lineitem name", "Lineitem price", "Lineitem sku", "Billing Name", "Billing Street", "Billing City", "Billing Zip", "Billing Country", "Billing Phone", "Shipping Name", "Shipping Street", "Shipping Country", "Notes", "Note Attributes", "Cancelled at", "Payment Method", "Payment Reference", "Refunded Amount", "Id", "Tags", "Risk Level", "Source"]
    rows = []
    for order in orders:
        at = order.at.astimezone(_BERLIN).strftime("%Y-%m-%d %H:%M:%S %z")
        street = f"{order.customer % 90 + 1} Invented Street"
        rows.append([
            f"#{order.number}", order.email, "refunded" if order.number % 31 == 0 else "paid", at, "fulfilled", at, "yes", "EUR", f"{order.amount:.2f}", "0.00",
            "0.00", f"{order.amount:.2f}", "WELCOME" if order.number % 9 == 0 else "", "0.00", "Standard", at, 1, "Mug", "20.00",
            "M-1", order.name, street, "Townsville", "10115", order.country, f"+49 30 {order.customer:07d}", order.name, street,
            order.shipped_to, "", f"ip: {order.address}", "", "Shopify Payments", f"r{order.number}", "0.00", 4_000_000_000 + order.number,
            ("chargeback, vip" if order.number % 2 else "chargeback") if order.is_abuse else ("vip" if order.number % 5 == 0 else ""),
            "High" if order.is_abuse and order.number % 3 else "Low", "web",
        ])  # fmt: skip
        if order.number % 4 == 0:
            line = [""] * len(header)
            line[0], line[1], line[15], line[16], line[17], line[18] = (
                f"#{order.number}",
                order.email,
                at,
                "1",
                "Plate",
                "5.00",
            )
            rows.append(line)
    return _table(header, rows).encode()


def woocommerce(orders: list[Order]) -> bytes:
    """Return an orders export of WooCommerce: local times, states, details of the customer, a column for chargebacks."""
    header = ["order_id", "order_number", "order_date", "paid_date", "status", "shipping_total", "discount_total", "order_total", "order_currency", "payment_method", "payment_method_title", "customer_ip_address", "customer_user_agent", "customer_id", "customer_email", "billing_first_name", "billing_last_name", "billing_email", "billing_phone", "billing_address_1", "billing_city", "billing_postcode", "billing_country", "shipping_first_name", "shipping_last_name", "shipping_country", "customer_note", "chargeback"]
    rows = [
        (
            order.number, order.number, at, at, ("refunded" if order.number % 2 else "completed") if order.is_abuse else ("completed", "processing", "cancelled")[order.number % 3],
            "4.90", "0.00", f"{order.amount:.2f}", "EUR", "paypal" if order.method == "paypal" else "stripe", "Card", order.address, "Mozilla/5.0 (iPhone)",
            order.customer if order.customer < 140 else 0, order.email, *order.name.split(), order.email, f"030 {order.customer:06d}",
            f"Invented Str. {order.customer % 90 + 1}", "Townsville", "10115", order.country, *order.name.split(), order.shipped_to, "",
            "yes" if order.is_abuse else "no",
        )
        for order in orders for at in [order.at.astimezone(_BERLIN).strftime("%Y-%m-%d %H:%M:%S")]
    ]  # fmt: skip
    return _table(header, rows).encode()


def magento(orders: list[Order]) -> bytes:
    """Return a grid export of Magento: dates with the names of months, SUSPECTED_FRAUD as a status."""
    header = ["ID", "Purchase Point", "Purchase Date", "Bill-to Name", "Ship-to Name", "Grand Total (Base)", "Grand Total (Purchased)", "Status", "Billing Address", "Shipping Address", "Shipping Information", "Customer Email", "Customer Group", "Subtotal", "Shipping and Handling", "Customer Name", "Payment Method", "Total Refunded"]
    rows = [
        (
            f"{order.number:09d}", "Main Website", order.at.strftime("%b %d, %Y, %I:%M:%S %p"), order.name, order.name, f"€{order.amount:,.2f}",
            f"€{order.amount:,.2f}", "SUSPECTED_FRAUD" if order.is_abuse else ("complete", "processing", "closed")[order.number % 3],
            f"{order.customer % 90 + 1} Invented Street,Townsville,{order.country}", f"{order.customer % 90 + 1} Invented Street,Townsville,{order.shipped_to}",
            "Flat Rate", order.email, "NOT LOGGED IN" if order.customer >= 140 else "General", f"€{order.amount:,.2f}", "€5.00", order.name,
            "paypal_express" if order.method == "paypal" else "creditcard", "€0.00",
        )
        for order in orders
    ]  # fmt: skip
    return _table(header, rows).encode()


def stripe(orders: list[Order]) -> bytes:
    """Return a payments export of Stripe: guests without a customer id, disputes in columns that are mostly empty."""
    header = ["id", "Description", "Seller Message", "Created (UTC)", "Amount", "Amount Refunded", "Currency", "Converted Amount", "Fee", "Mode", "Status", "Statement Descriptor", "Customer ID", "Customer Description", "Customer Email", "Captured", "Card ID", "Card Last4", "Card Brand", "Card Funding", "Card Exp Month", "Card Exp Year", "Card Name", "Card Issue Country", "Card Fingerprint", "Card CVC Status", "Card AVS Zip Status", "Dispute Status", "Dispute Reason", "Dispute Date (UTC)"]
    rows = [
        (
            f"ch_{order.number}", "", "Payment complete.", order.at.strftime("%Y-%m-%d %H:%M"), f"{order.amount:.2f}", "0.00", "eur",
            f"{order.amount:.2f}", "0.50", "Live", "Paid", "SHOP", f"cus_{order.customer}" if order.customer < 140 else "", "", order.email, "true",
            f"card_{order.card}", f"{order.customer % 10_000:04d}", order.method.capitalize(), "debit" if order.customer % 4 == 0 else "credit", 1 + order.number % 12, 2028,
            order.name, order.country, f"F{order.card}", "pass" if order.cvv_ok else "fail", "pass" if order.country == order.shipped_to else "fail",
            "lost" if order.is_abuse else ("won" if order.number % 40 == 0 else ""),
            "fraudulent" if order.is_abuse else ("duplicate" if order.number % 40 == 0 else ""),
            (order.at + dt.timedelta(days=20)).strftime("%Y-%m-%d %H:%M") if order.is_abuse or order.number % 40 == 0 else "",
        )
        for order in orders
    ]  # fmt: skip
    return _table(header, rows).encode()


def paypal(orders: list[Order]) -> bytes:
    """Return an activity export of PayPal: date and time apart, decimal commas, chargebacks and fees as rows of their own."""
    header = ["Date", "Time", "TimeZone", "Name", "Type", "Status", "Currency", "Gross", "Fee", "Net", "From Email Address", "To Email Address", "Transaction ID", "Shipping Address", "Address Status", "Item Title", "Reference Txn ID", "Contact Phone Number", "Balance", "Country Code"]

    def row(order: Order, at: dt.datetime, kind: str, amount: float, name: str, refers: str) -> tuple[str, ...]:
        local, money = at.astimezone(_BERLIN), f"{amount:.2f}".replace(".", ",")
        return (
            local.strftime("%d/%m/%Y"), local.strftime("%H:%M:%S"), local.tzname() or "", order.name, kind, "Completed", "EUR", money, "-0,50",
            money, order.email, "shop@example.com", name, f"{order.name}, {order.customer % 90 + 1} Invented Street", "Confirmed", "Mug", refers,
            f"030{order.customer:06d}", "100,00", order.country,
        )  # fmt: skip

    rows = []
    for order in orders:
        rows.append(row(order, order.at, "Express Checkout Payment", order.amount, f"4TX{order.number}", ""))
        if order.is_abuse:
            later = order.at + dt.timedelta(days=9)
            rows.append(row(order, later, "Chargeback", -order.amount, f"9CB{order.number}", f"4TX{order.number}"))
        if order.number % 50 == 0:
            rows.append(row(order, order.at, "General Withdrawal", -50, f"7WD{order.number}", ""))
    return b"\xef\xbb\xbf" + _table(header, rows, quoting=csv.QUOTE_ALL).encode()


def adyen(orders: list[Order]) -> bytes:
    """Return received payments of Adyen: local times with the zone in a column, 16 digits as references."""
    header = ["Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Creation Date", "TimeZone", "Currency", "Amount", "Type", "Risk Scoring", "Shopper Interaction", "Shopper Name", "Shopper PAN", "Shopper IP", "Shopper Country", "Issuer Country", "Shopper Email", "Shopper Reference", "3D Authenticated", "CVC2 Response", "AVS Response", "Acquirer Response", "Delivery Country", "Fraud"]
    rows = [
        (
            "Company", "Shop", 8_815_300_000_000_000 + order.number, f"ORD-{order.number}", order.method, local.strftime("%Y-%m-%d %H:%M:%S"),
            local.tzname(), "EUR", f"{order.amount:.2f}", "Payment", 10 + order.number % 7, "Ecommerce", order.name, f"{order.customer % 10_000:04d}",
            order.address, order.country, order.country, order.email, f"s{order.customer}", "N" if order.number % 2 else "Y",
            "1 Matches" if order.cvv_ok else "2 Doesn't match", "4", "APPROVED", order.shipped_to, int(order.is_abuse),
        )
        for order in orders for local in [order.at.astimezone(_BERLIN)]
    ]  # fmt: skip
    return _table(header, rows).encode()


def square(orders: list[Order]) -> bytes:
    """Return transactions of Square: date and time apart in short American form, money with a dollar sign."""
    header = ["Date", "Time", "Time Zone", "Gross Sales", "Discounts", "Net Sales", "Tax", "Total Collected", "Source", "Card", "Card Entry Methods", "Fees", "Net Total", "Transaction ID", "Payment ID", "Card Brand", "PAN Suffix", "Device Name", "Customer ID", "Customer Name", "Customer Reference ID", "Chargeback"]
    zone = ZoneInfo("America/New_York")
    rows = [
        (
            local.strftime("%m/%d/%y"), local.strftime("%H:%M:%S"), "Eastern Time (US & Canada)", f"${order.amount:,.2f}", "$0.00", f"${order.amount:,.2f}",
            "$0.00", f"${order.amount:,.2f}", "Online Store", f"${order.amount:,.2f}", "Keyed", "-$0.59", f"${order.amount - 0.59:,.2f}",
            f"TX{order.card}{order.number}", f"PY{order.number}", order.method.capitalize(), f"{order.customer % 10_000:04d}", "Web", f"CUST{order.customer}", order.name, "",
            "Yes" if order.is_abuse else "",
        )
        for order in orders for local in [order.at.astimezone(zone)]
    ]  # fmt: skip
    return _table(header, rows).encode()


def amazon(orders: list[Order]) -> bytes:
    """Return an order report of Amazon: tabs, a line for each article, ISO times with a zone."""
    header = ["order-id", "order-item-id", "purchase-date", "payments-date", "buyer-email", "buyer-name", "buyer-phone-number", "sku", "product-name", "quantity-purchased", "currency", "item-price", "item-tax", "shipping-price", "ship-service-level", "recipient-name", "ship-address-1", "ship-city", "ship-postal-code", "ship-country", "bill-country", "payment-method", "order-status", "chargeback"]
    rows = []
    for order in orders:
        at = order.at.astimezone(_BERLIN).isoformat()
        for item in range(2 if order.number % 4 == 0 else 1):
            rows.append((
                f"302-{order.number:07d}-{order.customer:07d}", order.number * 10 + item, at, at, order.email, order.name, f"+4930{order.customer:07d}", f"SKU-{item}", "Mug", 1,
                "EUR", f"{order.amount if item == 0 else 5:.2f}", "0.00", "0.00", "Standard", order.name, f"Invented Str. {order.customer % 90 + 1}", "Townsville", "10115",
                order.shipped_to, order.country, "Other", "Shipped", "true" if order.is_abuse else "false",
            ))  # fmt: skip
    return _table(header, rows, delimiter="\t").encode("windows-1252")


def braintree(orders: list[Order]) -> bytes:
    """Return a transaction search of Braintree: American times with a zone in the next column, states, response codes."""
    header = ["Transaction ID", "Subscription ID", "Transaction Type", "Transaction Status", "Created Datetime", "Created Timezone", "Settlement Date", "Amount Authorized", "Amount Submitted For Settlement", "Currency ISO Code", "Payment Instrument Type", "Card Type", "Cardholder Name", "First Six of Credit Card", "Last Four of Credit Card", "Customer ID", "Customer Email", "Billing Country", "Shipping Country", "IP Address", "CVV Response Code", "AVS Postal Code Response Code", "Processor Response Code", "Processor Response Text", "Dispute Status"]
    zone = ZoneInfo("America/Chicago")
    rows = [
        (
            f"bt{order.number}x", "", "sale", "settled", local.strftime("%m/%d/%Y %H:%M:%S"), local.tzname(), local.strftime("%m/%d/%Y"), f"{order.amount:.2f}", f"{order.amount:.2f}",
            "USD", "PayPal Account" if order.method == "paypal" else "Credit Card", order.method.capitalize(), order.name, f"{411111 + order.customer % 50}", f"{order.customer % 10_000:04d}",
            f"{10_000_000 + order.customer}", order.email, order.country, order.shipped_to, order.address, "M" if order.cvv_ok else "N", "M", 1000, "Approved",
            "Lost" if order.is_abuse else "",
        )
        for order in orders for local in [order.at.astimezone(zone)]
    ]  # fmt: skip
    return _table(header, rows).encode()


def credit_card_components(orders: list[Order]) -> bytes:
    """Return a table with the columns of ULB's card table: seconds, principal components, amount, class."""
    rng, start = np.random.default_rng(1), orders[0].at
    rows = [
        ((order.at - start).total_seconds(), *(f"{value:.6f}" for value in rng.normal(2.0 * order.is_abuse, 1, 28)), order.amount, int(order.is_abuse))
        for order in orders
    ]  # fmt: skip
    return _table(["Time", *(f"V{number}" for number in range(1, 29)), "Amount", "Class"], rows).encode()


def card_not_present(orders: list[Order]) -> bytes:
    """Return a table with the columns of IEEE-CIS: seconds since an unknown day, card1 to card6, e-mail domains, counts."""
    header = ["TransactionID", "isFraud", "TransactionDT", "TransactionAmt", "ProductCD", "card1", "card2", "card4", "card6", "addr1", "P_emaildomain", "R_emaildomain", "C1", "D1", "V1"]
    start = orders[0].at
    rows = [
        (
            2_987_000 + order.number, int(order.is_abuse), 86_400 + int((order.at - start).total_seconds()), order.amount, "WCH"[order.customer % 3],
            1000 + order.customer, 100 + order.customer % 400, order.method, "debit" if order.customer % 4 else "credit", 200 + order.customer % 90,
            order.email.split("@")[1], "", 1 + order.is_abuse, order.number % 30, 1,
        )
        for order in orders
    ]  # fmt: skip
    return _table(header, rows).encode()


def mobile_money(orders: list[Order]) -> bytes:
    """Return a table with the columns of PaySim: hours, kinds of transfer, balances before and after."""
    header = ["step", "type", "amount", "nameOrig", "oldbalanceOrg", "newbalanceOrig", "nameDest", "oldbalanceDest", "newbalanceDest", "isFraud", "isFlaggedFraud"]
    start = orders[0].at
    rows = [
        (
            1 + int((order.at - start).total_seconds() // 3600), ("TRANSFER" if order.is_abuse else ("PAYMENT", "CASH_OUT", "TRANSFER")[order.number % 3]), order.amount,
            f"C{1_000_000 + order.customer}", order.amount + (0 if order.is_abuse else 100), 0 if order.is_abuse else 100, f"M{order.number % 40}", 0, 0,
            int(order.is_abuse), 0,
        )
        for order in orders
    ]  # fmt: skip
    return _table(header, rows).encode()


def simulated_cards(orders: list[Order]) -> bytes:
    """Return a table with the columns of the Sparkov generator: card numbers, persons, places and jobs."""
    header = ["", "trans_date_trans_time", "cc_num", "merchant", "category", "amt", "first", "last", "gender", "street", "city", "state", "zip", "lat", "long", "city_pop", "job", "dob", "trans_num", "unix_time", "merch_lat", "merch_long", "is_fraud"]
    rows = [
        (
            row, order.at.strftime("%Y-%m-%d %H:%M:%S"), 4_000_000_000_000 + order.customer, f"fraud_Shop {order.number % 30}", ("misc_net", "grocery_pos", "home")[order.number % 3],
            order.amount, *order.name.split(), "MF"[order.customer % 2], f"{order.customer} Invented Street", "Townsville", "NE", 10000 + order.customer, 40 + order.customer / 1000,
            -90 - order.customer / 1000, 1000 + order.customer % 77, f"Job {order.customer % 20}", "1980-01-02", f"{zlib.crc32(str(order.number).encode()):032x}",
            int(order.at.timestamp()), 41.5, -91.5, int(order.is_abuse),
        )
        for row, order in enumerate(orders)
    ]  # fmt: skip
    return _table(header, rows).encode()


def handbook(orders: list[Order]) -> bytes:
    """Return a table with the columns of the fraud-detection handbook: terminals, seconds and days counted, scenarios."""
    header = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_TIME_SECONDS", "TX_TIME_DAYS", "TX_FRAUD", "TX_FRAUD_SCENARIO"]
    start = orders[0].at
    rows = [
        (
            order.number, order.at.strftime("%Y-%m-%d %H:%M:%S"), order.customer, order.number % 50, order.amount, int((order.at - start).total_seconds()),
            (order.at - start).days, int(order.is_abuse), 2 if order.is_abuse else 0,
        )
        for order in orders
    ]  # fmt: skip
    return _table(header, rows).encode()


def first_purchases(orders: list[Order]) -> bytes:
    """Return a table of first purchases: sign-up and purchase times, device, browser, age, address as a number."""
    header = ["user_id", "signup_time", "purchase_time", "purchase_value", "device_id", "source", "browser", "sex", "age", "ip_address", "class"]
    rows = [
        (
            100_000 + order.number, (order.at - dt.timedelta(days=0 if order.is_abuse else 1 + order.number % 90)).strftime("%Y-%m-%d %H:%M:%S"),
            order.at.strftime("%Y-%m-%d %H:%M:%S"), int(order.amount), f"DEV{order.card}", ("SEO", "Ads", "Direct")[order.number % 3],
            ("Chrome", "Safari")[order.number % 2], "MF"[order.customer % 2], 20 + order.customer % 50, f"{3_405_803_776 + order.customer % 250}.5", int(order.is_abuse),
        )
        for order in orders
    ]  # fmt: skip
    return _table(header, rows).encode()


def merchant_acquirer(orders: list[Order]) -> bytes:
    """Return a table of an acquirer: masked card numbers, ISO times with some fractions, has_cbk."""
    header = (
        ["transaction_id", "merchant_id", "user_id", "card_number", "transaction_date", "transaction_amount", "device_id", "has_cbk"]
    )
    rows = [
        (
            order.number, 29_000 + order.number % 30, 90_000 + order.customer, f"434505******{order.customer % 10_000:04d}",
            order.at.strftime("%Y-%m-%dT%H:%M:%S") + (".245913" if order.number % 3 else ""), order.amount, 28_000 + order.customer if order.number % 5 else "",
            "TRUE" if order.is_abuse else "FALSE",
        )
        for order in orders
    ]  # fmt: skip
    return _table(header, rows).encode()


def excel_in_europe(orders: list[Order]) -> bytes:
    """Return a sheet saved by Excel in Germany: semicolons, Windows-1252, decimal commas and a sign of the currency."""
    rows = [
        (
            order.number, order.at.strftime("%d.%m.%Y %H:%M"), f"Müller {order.customer}", f"{order.amount:,.2f} €".translate({44: 46, 46: 44}), order.country,
            "ja" if order.is_abuse else "nein",
        )
        for order in orders
    ]  # fmt: skip
    header = ("Bestellnr", "Datum", "Kunde", "Betrag", "Land", "Betrug")
    return _table(header, rows, delimiter=";").encode("windows-1252")


EXPORTS: Final[dict[str, Callable[[list[Order]], bytes]]] = {
    "shopify.csv": shopify, "woocommerce.csv": woocommerce, "magento.csv": magento, "stripe.csv": stripe, "paypal.csv": paypal,
    "adyen.csv": adyen, "square.csv": square, "amazon.txt": amazon, "braintree.csv": braintree,
    "credit_card_components.csv": credit_card_components, "card_not_present.csv": card_not_present, "mobile_money.csv": mobile_money,
    "simulated_cards.csv": simulated_cards, "handbook.csv": handbook, "first_purchases.csv": first_purchases,
    "merchant_acquirer.csv": merchant_acquirer, "excel_in_europe.csv": excel_in_europe,
}  # fmt: skip
"""Seventeen shapes of files, by name."""
