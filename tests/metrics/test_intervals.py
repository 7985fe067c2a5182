"""Intervals and p: exact where they can be, right for few people, and never without width."""

import doctest

import numpy as np
import pytest
from scipy import stats

from llmrec_core.metrics import belief, intervals, weighted_mean
from llmrec_core.metrics.belief import believe
from llmrec_core.metrics.intervals import mean_interval, p_of, paired_difference

NDCG = np.array([0.0, 1 / np.log2(11), 1 / np.log2(4), 1 / np.log2(3), 1.0])
"""What one withheld item can bring: not in the list, or in place ten, three, two or one."""


@pytest.mark.parametrize("module", [intervals, belief, weighted_mean])
def test_examples_in_the_documentation(module):
    result = doctest.testmod(module)
    assert not result.failed


def test_no_hit_of_seven_leaves_up_to_two_in_five():
    mean, low, high = mean_interval(np.zeros(7))
    assert (mean, low) == (0.0, 0.0)
    assert high == pytest.approx(1 - 0.025 ** (1 / 7))  # (1 − 0.41)^7 = 0.025


def test_shares_have_the_exact_interval_of_clopper_and_pearson():
    for hits, n in ((0, 20), (3, 9), (15, 200), (200, 200)):
        found = mean_interval(np.repeat([1.0, 0.0], [hits, n - hits]))
        exact = stats.binomtest(hits, n).proportion_ci(method="exact")
        assert found == pytest.approx((hits / n, exact.low, exact.high))


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [0.0, 0.0, 0.0], [1.0], [0.3] * 200])
def test_no_interval_is_without_width(values):
    mean, low, high = mean_interval(np.array(values))
    assert low <= mean <= high
    assert high - low > 0.01


def test_the_interval_is_that_of_drawn_weights():
    """Bayesian bootstrap with half an observation at either end, by drawing the weights."""
    rng = np.random.default_rng(0)
    values = rng.choice(NDCG, 9, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    weights = rng.dirichlet([*np.ones(9), 0.5, 0.5], 200_000)
    drawn = np.quantile(weights @ np.r_[values, 0.0, 1.0], (0.025, 0.975))
    assert mean_interval(values)[1:] == pytest.approx(drawn, abs=0.005)


def test_two_values_give_the_interval_of_jeffreys():
    some = believe(np.repeat([1.0, 0.0], [3, 6]))
    assert intervals.interval(some)[1:] == pytest.approx(
        stats.beta.ppf((0.025, 0.975), 3.5, 6.5), abs=1e-6
    )


@pytest.mark.parametrize("away", [0.001, 0.01, 0.1, 0.3])
def test_far_tails_are_as_exact_as_near_ones(away):
    """P(share ≤ θ) of 50 hits in 200 is a beta distribution's, down to chances of 1e-50."""
    shapes = np.array([150.5, 50.5])
    found = weighted_mean.chance_below_zero(np.array([0.0, 1.0]) - away, shapes)
    assert found == pytest.approx(stats.beta.cdf(away, 50.5, 150.5), abs=1e-7)


def _covered(values, n, trials, interval, rng):
    """Share of samples of `n` whose interval holds the mean of all values."""
    truth = values.mean()
    samples = rng.choice(values, (trials, n))
    return np.mean([low <= truth <= high for _, low, high in map(interval, samples)])


def _percentile_bootstrap(values):
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (500, len(values)))].mean(axis=1)
    return values.mean(), *np.quantile(means, (0.025, 0.975))


@pytest.mark.parametrize("n", [2, 5, 9, 50])
def test_intervals_cover_the_truth_for_few_people_where_a_percentile_bootstrap_does_not(n):
    people = np.repeat(NDCG, [110, 40, 20, 15, 15])  # 45 of 100 people are served
    rng = np.random.default_rng(n)
    assert _covered(people, n, 600, mean_interval, rng) >= 0.92
    if n < 10:
        assert _covered(people, n, 600, _percentile_bootstrap, rng) < 0.9


@pytest.mark.parametrize("n", [2, 5, 9, 20])
def test_two_models_that_are_alike_are_rarely_called_different(n):
    """The two values of each person are swapped by chance, so that neither model is better."""
    rng = np.random.default_rng(n)
    called = 0
    for _ in range(500):
        a, b = rng.choice(NDCG, (2, n), p=[0.45, 0.2, 0.1, 0.1, 0.15])
        swap = rng.random(n) < 0.5
        called += paired_difference(np.where(swap, a, b), np.where(swap, b, a)).distinguishable
    assert called / 500 <= 0.06


def test_a_difference_and_its_p_never_contradict_each_other():
    rng = np.random.default_rng(3)
    for _ in range(60):
        a, b = rng.choice(NDCG, (2, 30), p=[0.45, 0.2, 0.1, 0.1, 0.15])
        found = paired_difference(a, b)
        assert found.distinguishable == (found.p < 0.05)
        assert found.low <= found.mean <= found.high


def test_p_without_limits_is_students():
    gaps = np.array([1.0, 2.0, 3.0])
    assert p_of(believe(gaps, within=None)) == pytest.approx(
        stats.ttest_1samp(gaps, 0).pvalue
    )  # 0.074


def test_two_people_with_one_difference_are_no_proof():
    gaps = np.array([0.4, 0.4])
    assert p_of(believe(gaps, within=None)) == pytest.approx(0.5)  # two signs alike: 2 · 0.5²
    found = paired_difference(np.array([0.9, 0.9]), np.array([0.1, 0.1]))
    assert found.p > 0.05
    assert found.low < 0 < found.high


def test_equal_models_are_the_same_for_everybody_and_yet_not_surely_so():
    base = np.random.default_rng(0).random(300)
    same = paired_difference(base, base)
    assert (same.mean, same.differing, same.distinguishable) == (0.0, 0, False)
    assert same.p == pytest.approx(1.0)
    assert same.low < 0 < same.high


def test_a_paired_difference_finds_what_unpaired_intervals_hide():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.2, 0.8, 300)
    found = paired_difference(base + 0.03 + rng.normal(0, 0.03, 300), base)
    assert found.distinguishable
    assert found.p < 0.001
    with pytest.raises(ValueError, match="same users"):
        paired_difference(base, base[:-1])


def test_many_different_values_give_students_interval_which_is_the_same():
    values = np.random.default_rng(0).beta(2, 5, belief.MANY - 10)
    exact = mean_interval(values)
    student = intervals.interval(
        belief.StudentMean(values.mean(), stats.sem(values), len(values) - 1)
    )
    width = exact.high - exact.low
    assert exact[1:] == pytest.approx(student[1:], abs=width / 20)
    many = np.random.default_rng(0).beta(2, 5, belief.MANY + 10)
    assert isinstance(believe(many), belief.StudentMean)


def test_weights_that_are_all_alike_change_nothing():
    values = np.random.default_rng(1).choice(NDCG, 40)
    assert intervals.weighted_interval(values, np.full(40, 3.0)) == pytest.approx(
        intervals.interval(believe(values)), abs=1e-6
    )


def test_values_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="leave the range"):
        mean_interval(np.array([0.2, 1.7]))
    with pytest.raises(ValueError, match="1 NaN"):
        mean_interval(np.array([0.2, np.nan]))
    with pytest.raises(ValueError, match="without scatter"):
        mean_interval(np.array([2.0]), None)


def test_the_users_that_would_settle_a_difference():
    gaps = np.array([0.1, -0.1, 0.2, 0.0])  # mean 0.05, scatter 0.129: (2.8 · 0.129 ÷ 0.05)² = 52.3
    assert intervals.users_needed(gaps) == 53
    assert intervals.users_needed(np.array([0.1, -0.1])) is None


@pytest.mark.parametrize(
    ("change", "verdict"),
    [(lambda r, e: r, "equal"), (lambda r, e: 0.8 * r, "worse"), (lambda r, e: r + e, "undecided")],
)
def test_the_gate_has_three_answers(change, verdict):
    rng = np.random.default_rng(0)
    reference = rng.random(200)
    noise = rng.normal(-0.005, 0.2, 200)
    answer = intervals.gate(reference, change(reference, noise))
    assert answer.verdict == verdict
    assert answer.low <= answer.ratio <= answer.high
    assert answer.ratio == pytest.approx(change(reference, noise).mean() / reference.mean())
    assert (answer.users_needed is not None) == (verdict == "undecided")
    if answer.users_needed is not None:
        assert answer.users_needed > 200


def test_holm_keeps_the_order_and_makes_no_p_smaller():
    p = np.array([0.01, 0.04, 0.03, 0.2])
    adjusted = np.array(intervals.holm(p.tolist()))
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert (adjusted >= p).all()
