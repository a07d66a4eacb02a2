"""Features: equal in columns and messages, told in words."""

import numpy as np
import pyarrow as pa

from contract.fields import FIELDS
from contract.messages import messages
from ml_server.features.table_columns import TableColumns
from ml_server.features.text_scores import DISPOSABLE, FREE, PRIVATE, is_bot, mail_kind
from ml_server.registry.bundle import Bundle
from ml_server.training.field_dropout import drop_fields


def test_columns_and_messages_give_the_same_features(table: pa.Table, model: Bundle) -> None:
    """Ten thousand rows with fields knocked out, through both ways: equal to the last bit."""
    sparse = drop_fields(table.slice(0, 10_000), np.random.default_rng(1))
    by_columns = model.features.matrix(TableColumns(sparse))
    by_message = np.array([model.features.vector(order) for order in messages(sparse)])
    np.testing.assert_array_equal(by_columns, by_message)


def test_every_feature_explains_itself(table: pa.Table, model: Bundle) -> None:
    """Every feature has a sentence for every value it takes, with nothing left to fill in."""
    for order in messages(table.slice(0, 200)):
        fields = {descriptor.name: value for descriptor, value in order.ListFields()}
        for feature, value in zip(model.features.features, model.features.vector(order), strict=True):
            sentence = feature.explain(value, fields)
            assert sentence
            assert "{" not in sentence
            assert all(name in FIELDS for name in feature.operation.inputs)


def test_mail_domains_are_told_apart() -> None:
    """Free, private and throw-away domains are known; a subdomain is its domain."""
    assert [mail_kind(name) for name in ("gmail.com", "kestrel-software.io")] == [FREE, PRIVATE]
    assert [mail_kind(name) for name in ("tempmail.net", "x.mailinator.com")] == [DISPOSABLE] * 2


def test_scripts_are_told_from_browsers() -> None:
    """User agents of scripts are bots, those of people are not."""
    assert is_bot("python-requests/2.32.3") == is_bot("Mozilla/5.0 HeadlessChrome/131.0") == 1
    assert is_bot("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0") == 0
