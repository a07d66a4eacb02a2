"""Features: equal for columns and messages, and explained in words."""

import re
from string import Formatter

import numpy as np
import pyarrow as pa
import pytest

from contract.fields import FIELDS
from contract.messages import messages
from ml_server.features.declarations import declare
from ml_server.features.table_columns import TableColumns
from ml_server.features.text_scores import DISPOSABLE, FREE, PRIVATE, is_bot, mail_kind
from ml_server.registry.bundle import Bundle
from ml_server.training.field_dropout import drop_fields


def test_columns_and_messages_give_the_same_features(table: pa.Table, model: Bundle) -> None:
    """Three thousand rows with fields removed give equal features both ways, to the last bit."""
    sparse = drop_fields(table.slice(0, 3000), np.random.default_rng(1))
    by_columns = model.features.matrix(TableColumns(sparse))
    by_message = np.array([model.features.vector(order) for order in messages(sparse)])
    np.testing.assert_array_equal(by_columns, by_message)


def test_every_feature_explains_itself(table: pa.Table, model: Bundle) -> None:
    """Every feature has a complete sentence for every value it takes."""
    for order in messages(table.slice(0, 200)):
        fields = {descriptor.name: value for descriptor, value in order.ListFields()}
        for feature, value in zip(model.features.features, model.features.vector(order), strict=True):
            sentence = feature.explain(value, fields)
            assert sentence
            assert "{" not in sentence
            assert all(name in FIELDS for name in feature.operation.inputs)


ORDINALS = {"hour_of_day", "day_of_week"}
"""Features whose number is not a count."""


def test_numbers_agree_with_their_words() -> None:
    """One is followed by a singular, any other number by a plural, in every sentence with a count."""
    counted = 0
    for feature in declare({}):
        templates = [feature.sentence] if isinstance(feature.sentence, str) else feature.sentence.values()
        parts = [part for template in templates for part in Formatter().parse(template)]
        numbers = [
            (name, how or "")
            for _, name, how, _ in parts
            if name and (how or "").startswith((".0f", ";")) | (name in FIELDS and FIELDS[name].kind == "count")
        ]
        if not numbers or feature.name in ORDINALS:
            continue
        counted += 1
        assert {name for name, _ in numbers} == {name for name, how in numbers if ";" in how}, feature.name
        fields = dict.fromkeys((name for name in FIELDS if FIELDS[name].kind == "count"), 1)
        explanation = feature.explain(1.0, fields)
        assert re.search(
            r"(?<![\d.])1 (?!of )(?:failed |successful |password |other )?[a-z]+(?<!s)\b|1 of .* is ", explanation
        ), explanation
    assert counted > 15


@pytest.mark.parametrize(
    ("name", "number", "sentence"),
    [
        ("attempts_and_cards", 1, "1 attempt to pay in 24 hours, 1 card in 30 days"),
        ("attempts_and_cards", 4, "4 attempts to pay in 24 hours, 4 cards in 30 days"),
        ("account_age_days", 1, "the account is 1 day old"),
        ("account_age_days", 0, "the account is 0 days old"),
        ("verified_signs", 1, "1 of phone, e-mail and profile is in order"),
        ("cart_additions_session", 1, "1 item was put into the cart"),
        ("cart_additions_session", 12, "12 items were put into the cart"),
        ("total_orders_lifetime", 11, "the account placed 11 orders before"),
    ],
)
def test_sentences_of_counts(name: str, number: int, sentence: str) -> None:
    """Sentences with counts are natural English."""
    fields = dict.fromkeys((each for each in FIELDS if FIELDS[each].kind == "count"), number)
    [feature] = [one for one in declare({}) if one.name == name]
    assert feature.explain(float(number), fields) == sentence


def test_mail_domains_are_distinguished() -> None:
    """Free, private and disposable domains are known; a subdomain is its domain."""
    assert [mail_kind(name) for name in ("gmail.com", "kestrel-software.io")] == [FREE, PRIVATE]
    assert [mail_kind(name) for name in ("tempmail.net", "x.mailinator.com")] == [DISPOSABLE] * 2


def test_scripts_are_distinguished_from_browsers() -> None:
    """User agents of scripts are bots, those of browsers are not."""
    assert is_bot("python-requests/2.32.3") == is_bot("Mozilla/5.0 HeadlessChrome/131.0") == 1
    assert is_bot("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0") == 0
