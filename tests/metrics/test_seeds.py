"""Groups of seeds: few seeds count as few, equal seeds add nothing, and like groups are alike."""

import numpy as np
import pytest
from scipy import stats

from llmrec_core.metrics.intervals import interval, mean_interval, paired_difference
from llmrec_core.metrics.seeds import (
    GroupMean,
    SeedError,
    add_errors,
    believe_group,
    group_difference,
    needed,
    seed_error,
)


class Certain:
    """People who leave no doubt: all of them have the mean."""

    def __init__(self, mean):
        self.mean = mean

    def below(self, value):
        return float(stats.norm.cdf(value, self.mean, 1e-6))

    def quantile(self, share):
        return float(stats.norm.ppf(share, self.mean, 1e-6))


def groups(seeds, users=300, spread=0.0, gain=0.0, start=0):
    """Values of a model for each seed: every person has a level, every seed some luck of its own."""
    people = np.random.default_rng(0).beta(2, 3, users)
    rng = np.random.default_rng(start + 1)
    luck = rng.normal(0, spread, (seeds, 1)) + rng.normal(0, 0.05, (seeds, users))
    return np.clip(people + luck + gain, 0, 1)


def test_seeds_alone_have_students_interval_on_one_degree_less():
    # three means 0.30, 0.31, 0.35: scatter 0.0265, error 0.0153, t = 4.30 on two degrees
    values = np.repeat([[0.30], [0.31], [0.35]], 50, axis=1)
    error = seed_error(values)
    assert (error.error, error.freedom) == (pytest.approx(0.0265 / 3**0.5, rel=1e-2), 2)
    _, low, high = interval(GroupMean(Certain(0.32), error))
    assert (0.32 - low, high - 0.32) == pytest.approx((4.303 * error.error,) * 2, rel=1e-3)


def test_people_and_seeds_add_in_quadrature():
    people = stats.norm(0.3, 0.02)
    both = GroupMean(_Normal(people), SeedError(0.03, 1000))
    assert interval(both).high - 0.3 == pytest.approx(1.96 * (0.02**2 + 0.03**2) ** 0.5, rel=5e-3)


class _Normal:
    def __init__(self, law):
        self.mean, self.below, self.quantile = law.mean(), law.cdf, law.ppf


def test_one_seed_and_equal_seeds_add_nothing():
    single = groups(1)
    assert interval(believe_group(single)) == mean_interval(single[0])
    thrice = np.repeat(single, 3, axis=0)
    assert interval(believe_group(thrice)) == pytest.approx(mean_interval(single[0]))


def test_errors_of_two_groups_add_as_welchs():
    both = add_errors(SeedError(0.01, 2), SeedError(0.02, 2))
    assert both.error == pytest.approx(0.0005**0.5)
    assert both.freedom == pytest.approx(0.0005**2 / (0.01**4 / 2 + 0.02**4 / 2))  # 2.94
    assert add_errors(None, SeedError(0.01, 2)) == SeedError(0.01, 2)
    assert add_errors(None, None) is None


def test_two_groups_of_one_model_are_rarely_called_different_and_people_alone_often_are():
    with_seeds = alone = 0
    for trial in range(60):
        a = groups(3, spread=0.02, start=10 * trial)
        b = groups(3, spread=0.02, start=10 * trial + 5)
        with_seeds += group_difference(a, b).distinguishable
        alone += paired_difference(a.mean(axis=0), b.mean(axis=0)).distinguishable
    assert with_seeds <= 3  # 5 % of 60
    assert alone >= 20


def test_a_clear_gain_is_seen_with_three_seeds():
    found = group_difference(groups(3, spread=0.005, gain=0.08, start=7), groups(3, spread=0.005))
    assert found.distinguishable
    assert found.p < 0.05
    assert found.n == 300


@pytest.mark.parametrize("gain", [0.0, 0.01, 0.03, 0.06])
def test_interval_and_p_of_groups_never_contradict_each_other(gain):
    for start in range(20):
        found = group_difference(groups(3, spread=0.01, gain=gain, start=start), groups(3, 300))
        assert found.distinguishable == (found.p < 0.05)
        assert found.low <= found.mean <= found.high


def test_what_would_settle_a_difference():
    rng = np.random.default_rng(0)
    gap = rng.normal(0.01, 0.1, 400)  # error of the people 0.005
    alone = needed((0.5 + gap)[None], np.full((1, 400), 0.5))
    assert alone.users == pytest.approx((2.8 * gap.std(ddof=1) / gap.mean()) ** 2, abs=1)
    assert alone.seeds is None
    # seeds that scatter by 0.1 hide a difference of 0.01 from any number of people
    wild = needed(groups(3, spread=0.1, gain=0.01, start=3), groups(3, spread=0.1, start=9))
    assert wild.users is None
