"""IP addresses in the contract: IPv4 and IPv6 as written, or with a masked end, over every transport."""

import ipaddress
import re
from typing import Any

import protovalidate
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.generate_vectors import ADDRESSES
from contract.fields import FIELDS
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.json.transaction import TransactionBody
from runtime.validation.checks import acceptance_check, violations
from runtime.validation.field_rules import rules_of
from testing.inputs.orders import message

FIELD: Any = Transaction.DESCRIPTOR.fields_by_name["ip_address"]
octets = st.sampled_from(["0", "1", "9", "10", "99", "199", "249", "250", "255", "256", "999", "01", "00", ""])
groups = st.sampled_from(["", "", "0", "1", "a1", "ffff", "ABCD", "00a", "10000", "g"])
written = st.one_of(
    st.lists(octets, min_size=3, max_size=5).map(".".join),
    st.lists(groups, min_size=1, max_size=9).map(":".join),
    st.tuples(st.lists(groups, max_size=7).map(":".join), st.sampled_from([":1.2.3.4", ":256.1.1.1", ":1.2.3"])).map(
        "".join
    ),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.from_regex(r"[0-9a-fA-F:.]{1,45}", fullmatch=True),
)


def is_valid(address: str) -> bool:
    """Return whether an order with the address is valid."""
    return not violations(message(ip_address=address))


def is_address(text: str) -> bool:
    """Return whether Python accepts it as an address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@example("999.1.1.1")
@example("1::2::3")
@given(written)
def test_complete_addresses_are_accepted(text: str) -> None:
    """Without masks, exactly the addresses that Python's library accepts are valid."""
    assert is_valid(text) == is_address(text)


@pytest.mark.parametrize(
    "text",
    ["81.7.xxx.xxx", "81.7.x.x", "81.7.3.xxx", "81.xxx.xxx.xxx", "2001:db8:xxxx::", "2001:db8:1:2:xxxx:xxxx:xxxx:xxxx"],
)
def test_masked_ends_are_accepted(text: str) -> None:
    """Whole octets or groups at the end may be written as x."""
    assert is_valid(text)


@pytest.mark.parametrize(
    "text", ["xxx.xxx.3.4", "81.7.xxx.3", "81.7.3.4x", "81.7.xxx", "x", "81.7.xxxx.xxxx", "81.7.XXX.XXX"]
)
def test_other_masks_are_refused_in_words(text: str) -> None:
    """The error says what is expected, and contains no pattern."""
    [(field, text_of_error)] = violations(message(ip_address=text))
    assert (field, text_of_error) == (
        "ip_address",
        "must be an IPv4 or IPv6 address, or a masked one like 81.7.xxx.xxx",
    )


@given(st.one_of(written, st.sampled_from([*ADDRESSES.values(), "81.7.xxx.xxx"])))
def test_all_validators_agree(text: str) -> None:
    """protovalidate, the compiled rules and the pattern of the OpenAPI schema agree on each address."""
    order = message(ip_address=text)
    valid = not protovalidate.collect_violations(order)
    assert acceptance_check(Transaction.DESCRIPTOR)(order) == valid
    [pattern] = rules_of(FIELD).patterns
    assert bool(re.search(pattern, text)) == valid or text.endswith("\n")
    documented = TransactionBody.model_json_schema()["properties"][FIELDS["ip_address"].name]["anyOf"][0]
    assert documented["pattern"] == pattern
