"""Normalisation: all spellings of a value are the same to the model, in training and in serving."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.texts import NORMALISED, code, mail_domain
from ml_server.features.declarations import RANKED
from ml_server.features.feature_set import FeatureSet
from ml_server.features.table_columns import TableColumns
from ml_server.features.text_scores import DISPOSABLE, mail_kind
from ml_server.registry.bundle import Bundle
from ml_server.serving.scorer import Scorer
from testing.inputs.hostile import TEXTS
from testing.inputs.orders import message

DISGUISES = (
    "tempmail.net",
    "TempMail.NET",
    "tempmail.net ",
    "\ttempmail.net\r\n",
    "tempmail.net.",
    "tempmail.net. .",
    "user@tempmail.net",
    "a@b@tempmail.net",
    "\uff54\uff45\uff4d\uff50mail.net",
    "temp\u00admail.net",
    "temp\u200bmail.net",
    "tempmail\u3002net",
)


@pytest.mark.parametrize("text", DISGUISES)
def test_a_disguised_domain_is_known(text: str, model: Bundle) -> None:
    """Case, spaces, dots, a name before @, wide and invisible letters: the list matches, and the score is equal."""
    assert mail_domain(text) == "tempmail.net"
    assert mail_kind(mail_domain(text)) == DISPOSABLE
    scorer = Scorer(model)
    plain = scorer.predict(message(email_domain="tempmail.net")).legitimacy_score
    assert scorer.predict(message(email_domain=text)).legitimacy_score == plain


def test_international_names_have_one_form() -> None:
    """Unicode and A-label of a name are equal; a text that is no name is unchanged."""
    assert mail_domain("M\u00dcLLER.de") == mail_domain("xn--mller-kva.de") == "xn--mller-kva.de"
    assert mail_domain("\u00e4" * 300) == "\u00e4" * 300
    assert code(" us\n") == "US"
    assert mail_domain("gmail.com\x1f.") == mail_domain("gmail.com.\u2003. ") == "gmail.com"


def test_an_empty_domain_is_unknown(model: Bundle) -> None:
    """A domain of spaces or of an @ alone equals an absent one."""
    scorer = Scorer(model)
    unknown = scorer.predict(message(email_domain=None)).legitimacy_score
    assert {scorer.predict(message(email_domain=text)).legitimacy_score for text in (" ", "@", "...")} == {unknown}


FEATURES = FeatureSet({name: {"tempmail.net": 1.0, "US": 2.0, "DE": 3.0, "xn--mller-kva.de": 4.0} for name in RANKED})
_texts = st.text(max_size=30) | st.sampled_from((*DISGUISES, *TEXTS, "us", "US ", "de"))


@given(_texts)
def test_normalising_twice_changes_nothing(text: str) -> None:
    """Normalising a normalised text changes nothing, for any text."""
    for normalise in NORMALISED.values():
        assert normalise(normalise(text)) == normalise(text)


@given(st.lists(st.fixed_dictionaries({name: st.none() | _texts for name in NORMALISED}), min_size=1, max_size=5))
def test_tables_and_messages_normalise_alike(rows: list[dict[str, str | None]]) -> None:
    """The same texts as columns and as messages give the same features, to the bit."""
    table = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in NORMALISED})
    by_columns = FEATURES.matrix(TableColumns(table))
    for place, row in enumerate(rows):
        known = {name: text for name, text in row.items() if text is not None}
        order = message(
            account_age_days=None, phone_verified=None, order_amount=None, new_device=None, email_domain=None
        )
        order.ClearField("timestamp")
        for name, text in known.items():
            setattr(order, name, text)
        assert repr([float(value) for value in FEATURES.vector(order)]) == repr(by_columns[place].tolist())
