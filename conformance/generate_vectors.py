"""`python -m conformance.generate_vectors [--check]`: write vectors.json from the contract and its rules.

The vectors contain each field of a transaction at its limits and beyond, every name of every enum, and hostile strings.
Vectors about calls, keys and bodies are written by hand.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import ParseDict

from conformance.vector import JSON, PATH, REST, Vector, dump, field_name
from contract.fields import EXTRAS, FIELDS, REQUIRED
from generated.buf.validate import validate_pb2
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.validation.checks import violations

BASE = {"transaction_id": "vector", "timestamp": "2026-03-01T10:00:00Z", "user_id": "vector-user"}
FULL = BASE | {
    "order_amount": 299.99, "currency": "USD", "account_age_days": 5, "email_domain": "gmail.com", "phone_verified": False,
    "email_verified": True, "profile_complete": True, "failed_login_attempts_24h": 0, "successful_logins_7d": 3,
    "device_id": "vector-device", "device_type": "DEVICE_TYPE_MOBILE", "new_device": True, "accounts_on_device_30d": 1,
    "ip_address": "81.2.xxx.xxx", "ip_country": "US", "vpn_proxy_detected": False, "accounts_on_ip_24h": 1,
    "payment_method": "PAYMENT_METHOD_CREDIT_CARD", "card_bin": "424242", "card_country": "US", "billing_country": "US",
    "shipping_country": "US", "billing_shipping_match": True, "cvv_check_result": "CVV_CHECK_RESULT_PASS",
    "payment_attempts_24h": 1, "cards_used_30d": 1, "total_orders_lifetime": 4, "orders_last_24h": 0, "orders_last_7d": 1,
    "avg_order_value": 80.5, "days_since_account_first_purchase": 4, "session_duration_seconds": 300,
    "cart_additions_session": 2,
    "high_risk_category": False,
}  # fmt: skip
INT32 = 2**31 - 1
TEXTS = {
    "unicode": "\u00e4\u6f22\U0001f600", "spaces": "  a b  ", "quotes": "\"'`", "markup": "<script>alert(1)</script>",
    "nul": "a\0b",
    "bidi": "\u202eabc", "newline": "a\r\nb", "escape": "\x1b[2J", "slash": "2026/0001", "percent": "%s%n%2F",
    "long": "x" * 128,
    "too-long": "x" * 129, "emoji-long": "\U0001f600" * 128, "empty": "", "null-word": "null", "number-word": "1e999",
}  # fmt: skip
ADDRESSES = {
    "ipv4": "203.0.113.9", "ipv6": "2001:db8::8a2e:370:7334", "ipv4-in-ipv6": "::ffff:203.0.113.9",
    "masked-octet": "203.0.113.xxx", "masked-group": "2001:db8:85a3:xxxx:xxxx:xxxx:xxxx:xxxx",
    "octet-too-large": "999.1.1.1", "three-octets": "81.2.3", "five-octets": "1.2.3.4.5", "leading-zero": "01.2.3.4",
    "masked-beginning": "xxx.xxx.3.4", "two-gaps": "1::2::3", "nine-groups": "1:2:3:4:5:6:7:8:9", "dots": "...", "word": "face",
    "zone": "fe80::1%eth0", "port": "203.0.113.9:443", "space": " 203.0.113.9",
}  # fmt: skip
_SMALLEST, _LARGEST = 5e-324, 1.7976931348623157e308


def vectors() -> list[Vector]:
    """Return all vectors, in order."""
    generated = [
        *_whole_orders(),
        *_fields(),
        *_texts(),
        *_addresses(),
        *_times(),
        *_extras(),
        *_bodies(),
        *_calls(),
        *_keys(),
        *_degraded(),
    ]
    names = [vector.name for vector in generated]
    assert len(set(names)) == len(names)
    return generated


def _vector_by_rules(name: str, order: dict[str, Any], call: str = "predict") -> Vector:
    """Return a vector whose expected outcome follows from the contract's rules."""
    unspecified = any(isinstance(value, str) and value.endswith("_UNSPECIFIED") for value in order.values())
    why = "REST writes null for it, which is unknown"
    but = {REST: {"status": 200, "why": why}} if unspecified else {}
    broken = sorted({field_name(path) for path, _ in violations(ParseDict(order, Transaction()))})
    return Vector(name, call, order, code="INVALID_ARGUMENT" if broken else "OK", fields=broken, but=but)


def _whole_orders() -> Iterator[Vector]:
    yield _vector_by_rules("the-least", BASE)
    yield _vector_by_rules("everything", FULL)
    yield _vector_by_rules("review-the-least", BASE, "review")
    yield _vector_by_rules("review-everything", FULL, "review")
    abusive = {"vpn_proxy_detected": True, "cvv_check_result": "CVV_CHECK_RESULT_FAIL", "billing_shipping_match": False}
    yield _vector_by_rules(
        "review-abusive", FULL | abusive | {"accounts_on_device_30d": 12, "cards_used_30d": 9}, "review"
    )
    for name in REQUIRED:
        yield _vector_by_rules(f"without-{name}", {key: value for key, value in FULL.items() if key != name})
        yield _vector_by_rules(
            f"review-without-{name}", {key: value for key, value in BASE.items() if key != name}, "review"
        )


def _fields() -> Iterator[Vector]:
    for descriptor in Transaction.DESCRIPTOR.fields:
        if descriptor.name in (*REQUIRED, *EXTRAS):
            continue
        for label, value in _values(descriptor):
            yield _vector_by_rules(f"{descriptor.name}-{label}", BASE | {descriptor.name: value})


def _values(descriptor: Any) -> Iterator[tuple[str, Any]]:
    """Yield a field's values: every name of an enum, both booleans, numbers at their limits and beyond, a string."""
    kind = FIELDS[descriptor.name].kind
    if kind == "enum" and descriptor.enum_type is not None:
        for named in descriptor.enum_type.values:
            yield named.name.lower(), named.name
    elif kind == "flag":
        yield from (("true", True), ("false", False))
    elif kind == "count":
        low, high = _limits(descriptor)
        yield from ((str(value), value) for value in sorted({low - 1, low, low + 1, high, min(high + 1, INT32)}))
    elif kind == "number":
        for value in (-1.0, -_SMALLEST, 0.0, _SMALLEST, 0.1, 1e9, 1000000000.0000001, _LARGEST):
            yield repr(value), value
    elif kind == "text":
        yield "plain", FULL.get(descriptor.name, "abc")
        yield "odd", "\u00e4 <b>"


def _limits(descriptor: Any) -> tuple[int, int]:
    rules: Any = descriptor.GetOptions().Extensions[validate_pb2.field]
    declared = {rule.name: value for rule, value in rules.int32.ListFields()}
    return declared.get("gte", 0), declared.get("lte", INT32)


def _texts() -> Iterator[Vector]:
    for label, text in TEXTS.items():
        for name in ("transaction_id", "user_agent"):
            yield _vector_by_rules(f"{name}-{label}", BASE | {name: text})


def _addresses() -> Iterator[Vector]:
    for label, address in ADDRESSES.items():
        yield _vector_by_rules(f"ip_address-{label}", BASE | {"ip_address": address})


def _times() -> Iterator[Vector]:
    for moment in (
        "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2024-02-29T23:59:59Z", "2026-03-01T10:00:00.123456789Z",
        "2026-03-01T12:00:00+02:00", "9999-12-31T23:59:59Z",
    ):  # fmt: skip
        yield _vector_by_rules(f"timestamp-{moment}", BASE | {"timestamp": moment})


def _extras() -> Iterator[Vector]:
    yield _vector_by_rules("extras", BASE | {"extra_numbers": {"basket_items": 3}, "extra_texts": {"branch": "north"}})
    yield _vector_by_rules("extra-text-too-long", BASE | {"extra_texts": {"branch": "x" * 257}})


def _bodies() -> Iterator[Vector]:
    """Yield bodies that no message can express: invalid JSON, wrong types, unknown names."""
    start = '{"transaction_id": "vector", "timestamp": "2026-03-01T10:00:00Z", "user_id": "vector-user"'
    refused: dict[str, Any] = {"call": "predict", "doors": (JSON, REST), "code": "INVALID_ARGUMENT"}
    for name, body in {
        "nothing": "", "half": start, "no-json": "order", "list": "[]", "text": '"order"', "number": "1",
        "nan": start + ', "order_amount": NaN}',
        "infinite": start + ', "order_amount": 1e999}', "text-for-flag": start + ', "new_device": "perhaps"}',
        "text-for-count": start + ', "cards_used_30d": "many"}', "object-for-text": start + ', "currency": {}}',
        "list-for-number": start + ', "order_amount": [1]}', "count-too-large": start + ', "cards_used_30d": 2147483648}',
        "count-with-a-fraction": start + ', "cards_used_30d": 1.5}',
        "no-such-name-of-an-enum": start + ', "device_type": "toaster"}',
        "no-time": start.replace("2026-03-01T10:00:00Z", "soon") + "}", "no-such-day": start.replace("03-01", "02-30") + "}",
        "half-a-character": start + ', "currency": "\\ud800"}',
    }.items():  # fmt: skip
        yield Vector(f"body-{name}", body=body, **refused)
    why = "Envoy's transcoder drops what the contract does not name"
    yield Vector(
        "body-unknown-field",
        body=start + ', "colour": "blue"}',
        fields=("colour",),
        but={JSON: {"status": 200, "why": why}},
        **refused,
    )
    for name, body in {
        "number-in-a-text": ', "order_amount": "12.5"}',
        "count-as-5.0": ', "cards_used_30d": 5.0}',
        "null": ', "currency": null}',
    }.items():
        yield Vector(f"body-{name}", "predict", body=start + body, doors=(JSON, REST))
    large = {"status": 413, "why": "HTTP has a status of its own for it"}
    yield Vector(
        "body-too-large", "predict", body=start + ', "user_agent": "' + "x" * 100 + '"}', pad=5_000_000, doors=(JSON, REST),
        code="RESOURCE_EXHAUSTED", but={JSON: large, REST: large},
    )  # fmt: skip
    kind = {"status": 415, "why": "gRPC asks for its own content type, and HTTP has a status for that"}
    yield Vector(
        "body-of-another-kind", "predict", BASE, headers={"content-type": "text/plain"}, doors=(JSON, REST),
        code="INVALID_ARGUMENT", but={JSON: kind, REST: kind},
    )  # fmt: skip


def _calls() -> Iterator[Vector]:
    path = {"status": 404, "why": "in HTTP a method is a path"}
    yield Vector("unknown-method", "unknown", BASE, code="UNIMPLEMENTED", but={JSON: path, REST: path})
    yield Vector("decision-of-nobody", "decision", {"transaction_id": "nobody-asked"}, code="NOT_FOUND")
    yield Vector(
        "decision-id-too-long",
        "decision",
        {"transaction_id": "x" * 129},
        code="INVALID_ARGUMENT",
        fields=("transaction_id",),
    )
    yield Vector("review-again", "review", FULL, times=2)
    yield Vector("review-the-least-again", "review", BASE, times=2)
    # Over gRPC, a local service may answer before the client checks its deadline.
    late: dict[str, Any] = {"timeout": 0.0, "code": "DEADLINE_EXCEEDED", "doors": (REST,)}
    yield Vector("no-patience", "predict", BASE, **late)
    yield Vector("no-patience-for-a-review", "review", BASE, **late)


def _keys() -> Iterator[Vector]:
    for call in ("predict", "review"):
        yield Vector(f"{call}-without-a-key", call, BASE, key="none", code="UNAUTHENTICATED")
        yield Vector(f"{call}-with-a-wrong-key", call, BASE, key="wrong", code="UNAUTHENTICATED")
        yield Vector(f"{call}-as-a-reviewer", call, BASE, key="reviewer", code="PERMISSION_DENIED")


def _degraded() -> Iterator[Vector]:
    yield Vector("degraded-predict", "predict", BASE, code="UNAVAILABLE", when="degraded")
    yield Vector("degraded-review", "review", FULL, when="degraded")
    yield Vector("degraded-review-again", "review", FULL, times=2, when="degraded")


def main() -> int:
    """Write the file; with --check, compare it with what would be written."""
    parser = argparse.ArgumentParser(prog="python -m conformance.generate_vectors")
    parser.add_argument("--check", action="store_true")
    text = dump(vectors())
    if parser.parse_args().check:
        if PATH.read_text() == text:
            return 0
        print(f"{PATH.name} is out of date; run python -m conformance.generate_vectors", file=sys.stderr)
        return 1
    PATH.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
