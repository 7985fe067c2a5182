"""Counts of items near each other, and vectors factorised from them."""

import numpy as np
import pytest

from llmrec_core.recommenders.cooccurrence import co_occurrences, item_vectors

HISTORIES = [np.array([0, 1, 2]), np.array([1, 0])]


def test_pairs_within_the_window_count_both_ways_with_their_weights():
    # forward: 0→1, 1→2 from the first person, 1→0 from the second; each backward pair counts a half
    expected = [[0, 1 + 0.5, 0], [1 + 0.5, 0, 1], [0, 0.5, 0]]
    found = co_occurrences(HISTORIES, 3, window=1, backward=0.5)
    np.testing.assert_allclose(found.toarray(), expected)


def test_farther_pairs_fade():
    found = co_occurrences(HISTORIES, 3, window=2, fade=1.0).toarray()
    assert found[0, 2] == pytest.approx(2**-1)


def test_without_a_window_a_whole_history_counts():
    found = co_occurrences(HISTORIES, 3, window=0).toarray()
    np.testing.assert_array_equal(found, [[0, 2, 1], [2, 0, 1], [1, 1, 0]])


def test_many_users_at_once_equal_a_few(monkeypatch):
    rng = np.random.default_rng(0)
    histories = [rng.permutation(12)[: rng.integers(0, 9)] for _ in range(50)]
    steps = []
    whole = co_occurrences(histories, 12, window=3, backward=0.5)
    monkeypatch.setattr("llmrec_core.recommenders.cooccurrence._USERS_AT_ONCE", 7)
    parts = co_occurrences(
        histories, 12, window=3, backward=0.5, progress=lambda *done: steps.append(done)
    )
    np.testing.assert_allclose(parts.toarray(), whole.toarray())
    assert steps[-1] == (50, 50)


def test_vectors_give_the_positive_mutual_information_back():
    """With as many dimensions as items, U·S·Uᵀ-like products restore the matrix: its singular values are the vectors' norms."""
    rng = np.random.default_rng(0)
    counts = co_occurrences([rng.permutation(8)[:4] for _ in range(40)], 8, window=2)
    dense = counts.toarray()
    of_item = dense.sum(axis=1)
    smoothed = of_item**0.75
    with np.errstate(divide="ignore"):
        information = np.maximum(np.log(dense * smoothed.sum() / np.outer(of_item, smoothed)), 0)
    strength = np.linalg.svd(information, compute_uv=False)
    vectors = item_vectors(counts, 8)
    norms = (vectors**2).sum(axis=0)  # U·√S has squared column norms S
    np.testing.assert_allclose(norms / norms[0], strength / strength[0], atol=1e-4)
    assert vectors.std() == pytest.approx(1.0, abs=1e-5)


def test_items_of_one_group_lie_together():
    rng = np.random.default_rng(0)
    histories = [rng.permutation(np.arange(user % 2, 20, 2))[:7] for user in range(60)]
    vectors = item_vectors(co_occurrences(histories, 21, window=5), 4)
    assert not vectors[20].any()  # nobody took it
    unit = vectors[:20] / np.linalg.norm(vectors[:20], axis=1, keepdims=True)
    cosine = unit @ unit.T
    colour = np.arange(20) % 2
    assert cosine[colour[:, None] == colour].mean() > cosine[colour[:, None] != colour].mean() + 0.5


def test_nothing_together_is_a_table_of_zeros():
    assert not item_vectors(co_occurrences([np.array([0]), np.array([1])], 3, window=10), 2).any()
