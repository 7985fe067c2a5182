"""Values of games whose answer is known by hand, and the estimator against the tables it has only seen part of."""

from itertools import islice, permutations

import numpy as np
import pytest

from llmrec_core.explain.estimate import coalition_order, estimate, least_squares
from llmrec_core.explain.shapley import (
    decayed_shapley,
    interactions_from_table,
    present,
    shapley_from_table,
    sizes_of,
)


def game_table(n, seed=0, curve=0.3, noise=0.02):
    """A game like a ranker's: single effects that shrink with the history's length, a drift with length, and noise."""
    rng = np.random.default_rng(seed)
    masks = np.arange(1 << n)
    there, sizes = present(masks, n), sizes_of(masks)
    table = there @ rng.normal(size=n) / (1 + 0.2 * sizes) + curve * np.sqrt(sizes)
    return table + noise * rng.normal(size=len(masks))


def test_two_players_by_hand():
    # v() = 0, v(a) = 1, v(b) = 2, v(ab) = 5: a gets (1 + 5-2) / 2 = 2, b gets (2 + 5-1) / 2 = 3, the pair's surplus is 2
    table = np.array([0.0, 1.0, 2.0, 5.0])
    assert shapley_from_table(table).tolist() == [2.0, 3.0]
    assert interactions_from_table(table).tolist() == [[0.0, 2.0], [2.0, 0.0]]


def test_values_are_the_mean_effect_over_all_orders_and_add_up():
    table = game_table(5)
    values = shapley_from_table(table)
    effects = np.zeros(5)
    for order in permutations(range(5)):
        mask = 0
        for player in order:
            effects[player] += table[mask | 1 << player] - table[mask]
            mask |= 1 << player
    assert np.allclose(values, effects / 120, atol=1e-14)
    assert abs(table[0] + values.sum() - table[-1]) < 1e-12


def test_pair_terms_come_back():
    # v(S) = sum of w_i + p for the pair (0, 2): the interaction is p there and 0 elsewhere
    there = present(np.arange(16), 4)
    table = there @ np.array([1.0, 2.0, 3.0, 4.0]) + 0.7 * (there[:, 0] & there[:, 2])
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = 0.7
    assert np.allclose(interactions_from_table(table), expected)


@pytest.mark.parametrize("decay", [1.0, 0.9, 0.3])
def test_decay_in_closed_form_equals_enumeration(decay):
    n, weights = 7, np.random.default_rng(2).normal(size=7)
    there = present(np.arange(1 << n), n)
    later = there[:, ::-1].cumsum(1)[:, ::-1] - there
    table = (there * weights * decay**later).sum(1)
    assert np.allclose(decayed_shapley(weights, decay), shapley_from_table(table), atol=1e-12)


@pytest.mark.parametrize(
    "units", [(1.0,) * 5, (0.2, 1.7, 0.9, 1.2, 1.0), (0.0, 0.0, 3.0, 1.0, 1.0)]
)
@pytest.mark.parametrize("scale", [0.7, 3.0])
def test_closed_forms_of_the_process_equal_enumeration(units, scale):
    """phi of the covariance, and its prior variance, against the same functional applied to all 2^n coalitions."""
    from llmrec_core.explain import shapley_of_kernel as module

    n, dials = 5, (0.6, 2.0, 3.0, scale)
    masks = np.arange(1 << n)
    there = present(masks, n)
    z, long = 2.0 * there - 1, there @ np.array(units)
    covariance = module.covariance_of(masks, long, z, dials)
    cross, prior = module.functional(units, long, z, dials)
    phi = np.stack([shapley_from_table(column) for column in covariance.T])  # (coalitions, n)
    assert np.allclose(cross, phi, atol=1e-12)
    assert np.allclose(
        [shapley_from_table(column)[i] for i, column in enumerate(phi.T)], prior, atol=1e-12
    )


def test_a_drift_with_the_length_is_found_from_few_coalitions():
    """A score that falls with the tokens read, steeply at one length, as rankers' scores do."""
    lengths = np.array([3, 9, 5, 12, 4, 7, 6, 3, 10, 5])
    there = present(np.arange(1 << 10), 10)
    table = there @ np.linspace(-0.2, 0.2, 10) - 2 / (1 + np.exp(-(there @ lengths - 40) / 5))
    order = np.array(list(islice(coalition_order(10, 0), 96)))
    truth = shapley_from_table(table)
    off = [
        np.abs(estimate(order, table[order], 10, given).values - truth).sum()
        for given in (lengths, None)
    ]
    assert off[0] < 0.3 * off[1]


def test_order_is_stratified_paired_and_complete():
    order = list(coalition_order(6, seed=3))
    assert sorted(order) == list(range(64)) and order[:2] == [0, 63]
    assert all(order[i] ^ order[i + 1] == 63 for i in range(0, 64, 2))
    assert set(sizes_of(np.array(order[2:14]))) == {
        1,
        5,
    }  # singles first: leave-one-out comes with every estimate
    long = list(islice(coalition_order(25, seed=0), 400))
    assert len(set(long)) == 400 and set(sizes_of(np.array(long))) == set(range(26))


def test_all_coalitions_give_exact_values_in_any_order():
    table = game_table(6)
    order = np.array(list(coalition_order(6)))
    found = estimate(order, table[order], 6)
    assert found.exact and not found.errors.any()
    assert np.allclose(found.values, shapley_from_table(table))


def test_estimate_adds_up_beats_least_squares_and_knows_its_error():
    errors, plain, covered = [], [], []
    for seed in range(12):
        table = game_table(9, seed)
        order = np.array(list(islice(coalition_order(9, seed), 96)))
        truth, found = shapley_from_table(table), estimate(order, table[order], 9)
        assert abs(table[0] + found.values.sum() - table[-1]) < 1e-6
        errors.append(np.abs(found.values - truth).sum() / np.abs(truth).sum())
        plain.append(
            np.abs(least_squares(order, table[order], 9) - truth).sum() / np.abs(truth).sum()
        )
        covered.append(np.mean(np.abs(found.values - truth) <= found.errors))
    assert np.mean(errors) < 0.5 * np.mean(plain)
    assert np.mean(covered) >= 0.85


def test_constant_game_has_no_values_and_no_error():
    order = np.array(list(islice(coalition_order(8), 40)))
    found = estimate(order, np.full(40, 2.5), 8)
    assert not found.values.any() and not found.errors.any() and found.relative_error == 0
