"""Contributions and scores that add up."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from contract.abuse_types import ABUSE_TYPES, ALL_TYPES
from contract.messages import messages
from generated.vouch.v1.scoring_service_pb2 import Explanation, GroupContribution
from ml_server.features.table_columns import TableColumns
from ml_server.model.explain import Explainer
from ml_server.model.log_odds import LogOdds
from ml_server.registry.bundle import TABLES, Bundle
from ml_server.serving.scorer import FULL, Scorer
from ml_server.training.parameters import Parameters
from ml_server.training.train import train
from testing.inputs.orders import message


def test_the_example_is_explained_as_documented(model: Bundle) -> None:
    """A reason of the documented order names its disposable mail domain."""
    response = Scorer(model).predict(message(), FULL)
    assert "e-mail domain tempmail.net is a disposable one" in [reason.sentence for reason in response.reasons]
    assert response.legitimacy_score < 0.4
    assert response.abuse_type_scores.fake_account > response.abuse_type_scores.payment_fraud


def test_contributions_add_up(table: pa.Table, model: Bundle) -> None:
    """Base value and contributions sum to the raw score within 1e-6, by feature and by group, and to the answer."""
    scorer = Scorer(model)
    for order in messages(table.slice(0, 100)):
        response = scorer.predict(order, FULL)
        explanation = response.explanation
        whole = explanation.base_value + sum(explanation.contributions.values())
        groups = explanation.base_value + sum(each.contribution for each in explanation.groups)
        assert whole == pytest.approx(explanation.raw_score, abs=1e-6)
        assert groups == pytest.approx(explanation.raw_score, abs=1e-6)
        score = model.calibration.score(explanation.raw_score, model.prior_shift)
        assert response.legitimacy_score == pytest.approx(score, abs=1e-9)


def test_packed_explanations_are_the_message(model: Bundle) -> None:
    """The packed bytes equal the message with each number under its name, also for numbers of 0."""
    features = model.features.features
    numbers = [0.0, *np.random.default_rng(0).normal(size=len(features))]
    groups = dict.fromkeys((feature.group for feature in features), 0.0)
    for feature, number in zip(features, numbers, strict=False):
        groups[feature.group] += number
    wanted = Explanation(
        base_value=numbers[-1],
        raw_score=sum(numbers),
        groups=[GroupContribution(group=group, contribution=total) for group, total in groups.items()],
        contributions={feature.name: number for feature, number in zip(features, numbers, strict=False)},
    )
    assert Explainer(features).explain(numbers, full=True) == wanted
    wanted.ClearField("contributions")
    assert Explainer(features).explain(numbers, full=False) == wanted


def test_reasons_do_not_depend_on_earlier_orders(model: Bundle) -> None:
    """Zero and minus zero are one value: in any sequence orders get the same reasons, without -0."""
    orders = [message(avg_order_value=value) for value in (0.0, -0.0)]
    there, back = ([Scorer(model).predict(order, FULL) for order in chosen] for chosen in (orders, orders[::-1]))
    remembering = Scorer(model)
    assert [remembering.predict(order, FULL) for order in orders] == there == back[::-1]
    assert not any("-0.00" in reason.value + reason.sentence for reason in there[1].reasons)


def test_type_scores_and_score_sum_to_one(table: pa.Table, model: Bundle) -> None:
    """The probabilities of the abuse types and of a legitimate order sum to 1."""
    scorer = Scorer(model)
    for order in messages(table.slice(0, 100)):
        response = scorer.predict(order)
        types = response.abuse_type_scores
        total = response.legitimacy_score + sum(getattr(types, name) for name in ABUSE_TYPES)
        assert total == pytest.approx(1, abs=1e-9)
        assert (response.prediction == 1) == (response.legitimacy_score >= 0.5)
        assert response.confidence == max(response.legitimacy_score, 1 - response.legitimacy_score)


def test_contributions_add_up_by_class(table: pa.Table, model: Bundle) -> None:
    """The features' contributions to a class sum to its score less the base, for one order and for many."""
    matrix = model.features.matrix(TableColumns(table.slice(0, 300)))
    scores = model.form.scores(matrix)
    for place in range(model.form.classes):
        only = np.eye(model.form.classes)[place]
        found = model.form.contributions(matrix, np.tile(only, (300, 1)))
        np.testing.assert_allclose(found.sum(axis=1), scores[:, place] - model.form.base[place], atol=1e-9)
        for row, wanted in zip(matrix[:20].tolist(), found, strict=False):
            np.testing.assert_allclose(
                model.form.contributions_of_groups(model.form.groups_of_row(row), only.tolist()), wanted, atol=1e-12
            )


def test_average_contributions_are_zero(table: pa.Table) -> None:
    """On the background rows each feature's contributions have mean zero: they are differences from the average."""
    small = table.slice(0, 1000)
    trained = train(small, Parameters(form=TABLES, rounds=8, sparse_copies=0.0, folds=2, bags=1))
    form, features = trained.bundle.form, trained.bundle.features
    matrix = features.matrix(TableColumns(small))
    for only in np.eye(form.classes):
        found = form.contributions(matrix, np.tile(only, (len(matrix), 1)))
        assert np.abs(found.mean(axis=0)).max() < 0.02
        assert np.abs(found).max() > 0.1


_scores = st.lists(st.floats(-40, 40), min_size=len(ALL_TYPES), max_size=len(ALL_TYPES))


@given(_scores, _scores)
@settings(max_examples=30)
def test_slopes_are_the_integral_of_the_shares(base: list[float], scores: list[float]) -> None:
    """Each slope times its step is within 1e-6 of the integral by ten thousand panels, also at extreme scores."""
    log_odds = LogOdds(ALL_TYPES)
    start, step = np.array(base), np.array(scores) - np.array(base)
    way = start + ((np.arange(10_000) + 0.5) / 10_000)[:, None] * step
    honest, abuse = way[:, :2], way[:, 2:]
    shares = np.concatenate([softmax(honest, axis=1), -softmax(abuse, axis=1)], axis=1)
    wanted = shares.mean(axis=0) * step
    contributions = np.array(log_odds.slopes(base, scores)) * step
    # The midpoint rule itself is off by up to 1e-5 at such steps; the sum of the slopes has no such limit.
    np.testing.assert_allclose(contributions, wanted, atol=3e-5)
    assert contributions.sum() == pytest.approx(log_odds.of(scores) - log_odds.of(base), abs=1e-6)
    assert sum(log_odds.balance(contributions, log_odds.of(base), log_odds.of(scores))) == pytest.approx(
        log_odds.of(scores), abs=1e-9
    )


@given(st.lists(st.floats(-30, 30), min_size=5, max_size=5))
def test_raw_scores_are_alike_in_both_forms(scores: list[float]) -> None:
    """The log-odds of one row and of many are the same."""
    log_odds = LogOdds(("legitimate", "suspicious_but_legitimate", "fake_account", "account_takeover", "payment_fraud"))
    assert log_odds.of(scores) == pytest.approx(float(log_odds.of_rows(np.array([scores]))[0]), abs=1e-9)
    assert sum(log_odds.with_shares(scores)[1]) == pytest.approx(1)
    assert log_odds.with_shares(scores)[0] == log_odds.of(scores)


def test_an_order_without_optional_fields_is_scored(model: Bundle) -> None:
    """An order with only the three required fields gets a probability near the base rate."""
    bare = message(account_age_days=None, email_domain=None, phone_verified=None, order_amount=None, new_device=None)
    score = Scorer(model).predict(bare).legitimacy_score
    assert 0.5 < score < 0.95
    assert not math.isnan(score)
