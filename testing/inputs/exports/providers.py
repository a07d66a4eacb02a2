"""Exports of payment providers."""

import csv
import datetime as dt
from zoneinfo import ZoneInfo

from testing.inputs.exports.orders import BERLIN, Order, as_csv


def stripe(orders: list[Order]) -> bytes:
    """Return a payments export of Stripe: guests without a customer id, disputes in columns that are mostly empty."""
    header = [
        "id",
        "Description",
        "Seller Message",
        "Created (UTC)",
        "Amount",
        "Amount Refunded",
        "Currency",
        "Converted Amount",
        "Fee",
        "Mode",
        "Status",
        "Statement Descriptor",
        "Customer ID",
        "Customer Description",
        "Customer Email",
        "Captured",
        "Card ID",
        "Card Last4",
        "Card Brand",
        "Card Funding",
        "Card Exp Month",
        "Card Exp Year",
        "Card Name",
        "Card Issue Country",
        "Card Fingerprint",
        "Card CVC Status",
        "Card AVS Zip Status",
        "Dispute Status",
        "Dispute Reason",
        "Dispute Date (UTC)",
    ]
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
    return as_csv(header, rows).encode()


def paypal(orders: list[Order]) -> bytes:
    """Return an activity export of PayPal: date and time apart, decimal commas, chargebacks and fees as rows of their own."""
    header = [
        "Date",
        "Time",
        "TimeZone",
        "Name",
        "Type",
        "Status",
        "Currency",
        "Gross",
        "Fee",
        "Net",
        "From Email Address",
        "To Email Address",
        "Transaction ID",
        "Shipping Address",
        "Address Status",
        "Item Title",
        "Reference Txn ID",
        "Contact Phone Number",
        "Balance",
        "Country Code",
    ]

    def row(order: Order, at: dt.datetime, kind: str, amount: float, name: str, refers: str) -> tuple[str, ...]:
        local, money = at.astimezone(BERLIN), f"{amount:.2f}".replace(".", ",")
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
    return b"\xef\xbb\xbf" + as_csv(header, rows, quoting=csv.QUOTE_ALL).encode()


def adyen(orders: list[Order]) -> bytes:
    """Return received payments of Adyen: local times with the zone in a column, 16 digits as references."""
    header = [
        "Company Account",
        "Merchant Account",
        "Psp Reference",
        "Merchant Reference",
        "Payment Method",
        "Creation Date",
        "TimeZone",
        "Currency",
        "Amount",
        "Type",
        "Risk Scoring",
        "Shopper Interaction",
        "Shopper Name",
        "Shopper PAN",
        "Shopper IP",
        "Shopper Country",
        "Issuer Country",
        "Shopper Email",
        "Shopper Reference",
        "3D Authenticated",
        "CVC2 Response",
        "AVS Response",
        "Acquirer Response",
        "Delivery Country",
        "Fraud",
    ]
    rows = [
        (
            "Company", "Shop", 8_815_300_000_000_000 + order.number, f"ORD-{order.number}", order.method, local.strftime("%Y-%m-%d %H:%M:%S"),
            local.tzname(), "EUR", f"{order.amount:.2f}", "Payment", 10 + order.number % 7, "Ecommerce", order.name, f"{order.customer % 10_000:04d}",
            order.address, order.country, order.country, order.email, f"s{order.customer}", "N" if order.number % 2 else "Y",
            "1 Matches" if order.cvv_ok else "2 Doesn't match", "4", "APPROVED", order.shipped_to, int(order.is_abuse),
        )
        for order in orders for local in [order.at.astimezone(BERLIN)]
    ]  # fmt: skip
    return as_csv(header, rows).encode()


def square(orders: list[Order]) -> bytes:
    """Return transactions of Square: date and time apart in short American form, money with a dollar sign."""
    header = [
        "Date",
        "Time",
        "Time Zone",
        "Gross Sales",
        "Discounts",
        "Net Sales",
        "Tax",
        "Total Collected",
        "Source",
        "Card",
        "Card Entry Methods",
        "Fees",
        "Net Total",
        "Transaction ID",
        "Payment ID",
        "Card Brand",
        "PAN Suffix",
        "Device Name",
        "Customer ID",
        "Customer Name",
        "Customer Reference ID",
        "Chargeback",
    ]
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
    return as_csv(header, rows).encode()


def braintree(orders: list[Order]) -> bytes:
    """Return a transaction search of Braintree: American times with a zone in the next column, states, response codes."""
    header = [
        "Transaction ID",
        "Subscription ID",
        "Transaction Type",
        "Transaction Status",
        "Created Datetime",
        "Created Timezone",
        "Settlement Date",
        "Amount Authorized",
        "Amount Submitted For Settlement",
        "Currency ISO Code",
        "Payment Instrument Type",
        "Card Type",
        "Cardholder Name",
        "First Six of Credit Card",
        "Last Four of Credit Card",
        "Customer ID",
        "Customer Email",
        "Billing Country",
        "Shipping Country",
        "IP Address",
        "CVV Response Code",
        "AVS Postal Code Response Code",
        "Processor Response Code",
        "Processor Response Text",
        "Dispute Status",
    ]
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
    return as_csv(header, rows).encode()
