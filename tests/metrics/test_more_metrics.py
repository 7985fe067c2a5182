"""Classification, beyond-accuracy and off-policy metrics: doctests, scikit-learn, simulations whose truth is known."""

import doctest

import numpy as np
import pytest
from sklearn import metrics as sk

from llmrec_core.metrics import beyond, classification, propensity


@pytest.mark.parametrize("module", [classification, beyond, propensity])
def test_examples_in_the_documentation(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def predictions(n=400, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random(n)
    return (rng.random(n) < truth).astype(int), truth, rng


def test_auc_and_log_loss_agree_with_scikit_learn():
    labels, truth, rng = predictions()
    for scores in (truth, truth.round(1), rng.normal(size=400)):
        assert classification.auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert classification.log_loss(labels, truth) == pytest.approx(sk.log_loss(labels, truth))


def test_one_class_is_undefined_not_a_half():
    assert np.isnan(classification.auc(np.ones(3), np.arange(3)))
    assert np.isnan(classification.gauc(np.ones(3), np.arange(3), np.zeros(3)))
    with pytest.raises(ValueError, match="one class"):
        classification.bootstrap(classification.auc, np.ones(3), np.arange(3))


def test_gauc_ignores_differences_between_users():
    labels = np.array([1, 1, 0, 1, 0, 0])
    users = np.array([0, 0, 0, 1, 1, 1])
    scores = np.array([9, 8, 7, 3, 2, 1])  # right within each user, user 0 above user 1
    assert classification.gauc(labels, scores, users) == 1.0
    assert classification.auc(labels, scores) < 1.0


def test_calibration_error_is_small_for_true_probabilities_and_large_for_overconfident_ones():
    labels, truth, _ = predictions(20_000)
    assert classification.calibration_error(labels, truth) < 0.02
    assert classification.calibration_error(labels, (truth > 0.5) * 0.98 + 0.01) > 0.2


def test_intervals_of_auc_widen_when_users_are_resampled():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20), 30)
    taste = np.repeat(rng.normal(size=20), 30)
    labels = (taste + rng.normal(size=600) > 0).astype(int)
    scores = taste + 0.1 * rng.normal(size=600)
    rows = classification.bootstrap(classification.auc, labels, scores, resamples=300)
    groups = classification.bootstrap_groups(
        classification.auc, users, labels, scores, resamples=300
    )
    assert rows[0] == groups[0]
    assert groups[2] - groups[1] > 1.5 * (rows[2] - rows[1])


def test_beyond_accuracy_by_brute_force():
    rng = np.random.default_rng(0)
    lists = np.stack([rng.choice(12, 5, replace=False) for _ in range(30)])
    vectors = rng.normal(size=(12, 4))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    slow = [np.mean([1 - unit[a] @ unit[b] for a in row for b in row if a != b]) for row in lists]
    assert beyond.diversity(lists, vectors) == pytest.approx(slow)
    shown = beyond.exposure(lists, 12)
    pairs = np.abs(shown[:, None] - shown[None, :]).sum() / (2 * 12 * shown.sum())
    assert beyond.gini(lists, 12) == pytest.approx(pairs)
    assert beyond.top_k(np.array([[1.0, 3.0, 2.0]]), np.array([[7, 8, -1]]), 4).tolist() == [
        [8, 7, -1, -1]
    ]


def test_propensity_weights_undo_a_biased_log():
    """The logger shows item a nine times as often as b; both are equally often liked by all, but not in the log."""
    rng = np.random.default_rng(0)
    errors = {"naive": [], "ips": [], "snips": []}
    for _ in range(60):
        shows_a = rng.random(2_000) < 0.9
        liked = rng.random(2_000) < np.where(
            shows_a, 0.8, 0.2
        )  # a uniform display would be liked with 0.5
        q = np.where(shows_a, 0.9, 0.1) * 2  # relative to a uniform display
        errors["naive"].append(liked.mean() - 0.5)
        errors["ips"].append((liked / q).mean() - 0.5)
        errors["snips"].append(propensity.snips(liked, q).value - 0.5)
    assert abs(np.mean(errors["naive"])) > 0.2
    assert abs(np.mean(errors["ips"])) < 0.01
    assert abs(np.mean(errors["snips"])) < 0.01
    estimate = propensity.snips(liked, q)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.effective_n < 2_000
