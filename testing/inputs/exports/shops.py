"""Exports of shop systems and market places."""

from testing.inputs.exports.orders import BERLIN, Order, as_csv


def shopify(orders: list[Order]) -> bytes:
    """Return an orders export: a line for each article, the order's own cells only in the first; chargebacks as tags."""
    header = [
        "Name",
        "Email",
        "Financial Status",
        "Paid at",
        "Fulfillment Status",
        "Fulfilled at",
        "Accepts Marketing",
        "Currency",
        "Subtotal",
        "Shipping",
        "Taxes",
        "Total",
        "Discount Code",
        "Discount Amount",
        "Shipping Method",
        "Created at",
        "Lineitem quantity",
        "Lineitem name",
        "Lineitem price",
        "Lineitem sku",
        "Billing Name",
        "Billing Street",
        "Billing City",
        "Billing Zip",
        "Billing Country",
        "Billing Phone",
        "Shipping Name",
        "Shipping Street",
        "Shipping Country",
        "Notes",
        "Note Attributes",
        "Cancelled at",
        "Payment Method",
        "Payment Reference",
        "Refunded Amount",
        "Id",
        "Tags",
        "Risk Level",
        "Source",
    ]
    rows: list[list[object]] = []
    for order in orders:
        at = order.at.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S %z")
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
            line: list[object] = [""] * len(header)
            line[0], line[1], line[15], line[16], line[17], line[18] = (
                f"#{order.number}",
                order.email,
                at,
                "1",
                "Plate",
                "5.00",
            )
            rows.append(line)
    return as_csv(header, rows).encode()


def woocommerce(orders: list[Order]) -> bytes:
    """Return an orders export of WooCommerce: local times, states, details of the customer, a column for chargebacks."""
    header = [
        "order_id",
        "order_number",
        "order_date",
        "paid_date",
        "status",
        "shipping_total",
        "discount_total",
        "order_total",
        "order_currency",
        "payment_method",
        "payment_method_title",
        "customer_ip_address",
        "customer_user_agent",
        "customer_id",
        "customer_email",
        "billing_first_name",
        "billing_last_name",
        "billing_email",
        "billing_phone",
        "billing_address_1",
        "billing_city",
        "billing_postcode",
        "billing_country",
        "shipping_first_name",
        "shipping_last_name",
        "shipping_country",
        "customer_note",
        "chargeback",
    ]
    rows = [
        (
            order.number, order.number, at, at, ("refunded" if order.number % 2 else "completed") if order.is_abuse else ("completed", "processing", "cancelled")[order.number % 3],
            "4.90", "0.00", f"{order.amount:.2f}", "EUR", "paypal" if order.method == "paypal" else "stripe", "Card", order.address, "Mozilla/5.0 (iPhone)",
            order.customer if order.customer < 140 else 0, order.email, *order.name.split(), order.email, f"030 {order.customer:06d}",
            f"Invented Str. {order.customer % 90 + 1}", "Townsville", "10115", order.country, *order.name.split(), order.shipped_to, "",
            "yes" if order.is_abuse else "no",
        )
        for order in orders for at in [order.at.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S")]
    ]  # fmt: skip
    return as_csv(header, rows).encode()


def magento(orders: list[Order]) -> bytes:
    """Return a grid export of Magento: dates with the names of months, SUSPECTED_FRAUD as a status."""
    header = [
        "ID",
        "Purchase Point",
        "Purchase Date",
        "Bill-to Name",
        "Ship-to Name",
        "Grand Total (Base)",
        "Grand Total (Purchased)",
        "Status",
        "Billing Address",
        "Shipping Address",
        "Shipping Information",
        "Customer Email",
        "Customer Group",
        "Subtotal",
        "Shipping and Handling",
        "Customer Name",
        "Payment Method",
        "Total Refunded",
    ]
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
    return as_csv(header, rows).encode()


def amazon(orders: list[Order]) -> bytes:
    """Return an order report of Amazon: tabs, a line for each article, ISO times with a zone."""
    header = [
        "order-id",
        "order-item-id",
        "purchase-date",
        "payments-date",
        "buyer-email",
        "buyer-name",
        "buyer-phone-number",
        "sku",
        "product-name",
        "quantity-purchased",
        "currency",
        "item-price",
        "item-tax",
        "shipping-price",
        "ship-service-level",
        "recipient-name",
        "ship-address-1",
        "ship-city",
        "ship-postal-code",
        "ship-country",
        "bill-country",
        "payment-method",
        "order-status",
        "chargeback",
    ]
    rows = [
        (
            f"302-{order.number:07d}-{order.customer:07d}", order.number * 10 + item, at, at, order.email, order.name, f"+4930{order.customer:07d}", f"SKU-{item}", "Mug", 1,
            "EUR", f"{order.amount if item == 0 else 5:.2f}", "0.00", "0.00", "Standard", order.name, f"Invented Str. {order.customer % 90 + 1}", "Townsville", "10115",
            order.shipped_to, order.country, "Other", "Shipped", "true" if order.is_abuse else "false",
        )
        for order in orders for at in [order.at.astimezone(BERLIN).isoformat()] for item in range(2 if order.number % 4 == 0 else 1)
    ]  # fmt: skip
    return as_csv(header, rows, delimiter="\t").encode("windows-1252")


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
    return as_csv(header, rows, delimiter=";").encode("windows-1252")
