"""The compiled reader: it reads what the operations compute, and accepts what the contract accepts."""

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.fields import FIELDS, REQUIRED
from contract.messages import messages
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.declarations import RANKED
from ml_server.features.feature_set import Extra, FeatureSet
from ml_server.model.bins import Thresholds
from ml_server.model.form import Form
from ml_server.registry.bundle import Bundle
from ml_server.serving.reader import Reader, absent_bits, compile_reader
from ml_server.serving.scorer import Scorer
from ml_server.training.field_dropout import drop_fields
from runtime.validation.checks import validator

_EXTRA = Extra(("score", "hour_of_day"), ("shop", "product-line"))
_TEXTS = [
    "",
    " ",
    "DE",
    "de",
    "FR",
    " US ",
    "EUR",
    "gmail.com",
    "user@TempMail.net.",
    "bücher.example",
    "x" * 300,
    "a\0b",
]
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from([*_TEXTS, "411111", "10.0.0.1", "::1", "curl/8", "Mozilla/5.0"]) | st.text(max_size=5),
    "number": st.sampled_from([0.0, -0.0, -1.0, 5e-324, 49.99, 1e9, 1.1e9, 1e308, math.inf, -math.inf, math.nan])
    | st.floats(0, 1000),
    "count": st.sampled_from([-(2**31), -1, 0, 1, 63, 64, 365, 36_500, 36_501, 2**31 - 1]) | st.integers(0, 100),
    "flag": st.booleans(),
    "enum": st.integers(-1, 6),
    "time": st.builds(
        lambda seconds, nanos: Timestamp(seconds=seconds, nanos=nanos),
        st.sampled_from(
            [-(2**63), -1, 0, 1, 1_739_268_000, 1_739_400_000, 253_402_300_799, 253_402_300_800, 2**63 - 1]
        ),
        st.sampled_from([-1, 0, 999_999_999, 1_000_000_000]),
    ),
}
_NAMES = st.sampled_from(["score", "hour_of_day", "shop", "product-line", "other", "", "0", "a b", "x" * 65])


@st.composite
def _orders(draw: st.DrawFn) -> Transaction:
    """Return a strategy for orders with any fields, mostly valid, at the boundaries and beyond."""
    order = Transaction(transaction_id="t", user_id="u", timestamp=Timestamp(seconds=1_739_268_000))
    for name in draw(st.lists(st.sampled_from(list(FIELDS)), max_size=12, unique=True)):
        value = draw(_VALUES[FIELDS[name].kind])
        if FIELDS[name].kind == "time":
            getattr(order, name).CopyFrom(value)
        else:
            setattr(order, name, value)
    order.extra_numbers.update(draw(st.dictionaries(_NAMES, _VALUES["number"], max_size=2)))
    order.extra_texts.update(draw(st.dictionaries(_NAMES, _VALUES["text"], max_size=2)))
    if draw(st.integers(0, 20)) == 0:
        order.ClearField(draw(st.sampled_from(list(REQUIRED))))
    return order


@pytest.fixture(scope="module")
def features() -> FeatureSet:
    """Return features with extras, one of them named like a feature of ours."""
    ranks = {"DE": 0.1, "US": 0.3, "gmail.com": 0.2, "": 0.15}
    return FeatureSet(dict.fromkeys((*RANKED, *_EXTRA.categorical), ranks), _EXTRA)


@pytest.fixture(scope="module")
def thresholds(model: Bundle, features: FeatureSet) -> Thresholds:
    """Return thresholds of a trained model, and some for the extras."""
    return (*model.form.thresholds, *[(-math.inf, 0.0, 0.12, 0.25, 40.0)] * len(_EXTRA.names))


@pytest.fixture(scope="module")
def read(features: FeatureSet, thresholds: Thresholds) -> Reader:
    """Return a reader that returns each bin separately."""
    alone = [[number] for number in range(len(thresholds))]
    form = SimpleNamespace(thresholds=thresholds, groups=SimpleNamespace(features=alone))
    return compile_reader(features, cast(Form, form))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=_orders())
def test_the_reader_equals_the_operations(
    order: Transaction, features: FeatureSet, thresholds: Thresholds, read: Reader
) -> None:
    """Nothing that protovalidate refuses is read; else bins, absent fields and unknown extras are equal to the bit."""
    reading = read(order)
    refused = validator().collect_violations(order)
    if reading is None:
        return
    assert not refused, (order, refused)
    fields = features.fields(order)
    wanted = [
        0 if math.isnan(value) else int(np.searchsorted(known, value))
        for value, known in zip(features.vector_of_fields(fields), thresholds, strict=True)
    ]
    assert reading == (wanted, absent_bits(fields), features.unknown_extras(fields))


def test_ordinary_orders_are_read(table: pa.Table, model: Bundle) -> None:
    """Generated orders, complete and with fields removed, all take the fast path and give the same numbers."""
    scorer = Scorer(model)
    for order in messages(drop_fields(table.slice(0, 1500), np.random.default_rng(2))):
        assert scorer.read_accepted(order) == scorer.read(order)


def test_the_cache_of_texts_is_bounded(read: Reader) -> None:
    """A flood of different domains, each seen once, is read correctly and fills no more than the cache."""
    order = Transaction(transaction_id="t", user_id="u", timestamp=Timestamp(seconds=1))
    for number in range(9000):
        order.email_domain = f"d{number}.example"
        assert read(order) is not None
    remembered = read.__globals__["parse_email_domain"].cache_info()
    assert remembered.currsize == remembered.maxsize <= 8192
