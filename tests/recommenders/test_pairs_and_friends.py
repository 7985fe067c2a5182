"""Few-label pairs and hidden friends on data whose answer is planted."""

import doctest

import numpy as np
import pandas as pd
import pytest

from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.regimes import Pairs, few_shots, hide_edges
from llmrec_core.errors import UnsupportedError
from llmrec_core.metrics import classification, ranking
from llmrec_core.recommenders import friends, pairs


def planted(n, seed, first_user):
    """Users differ in how much they like, items in how much they are liked."""
    rng = np.random.default_rng(seed)
    item_quality = np.random.default_rng(7).normal(0, 1.5, 40)
    users, histories, labels, targets, wanted = [], [], [], [], []
    for user in range(n):
        mood, items = rng.normal(0, 1.5), rng.choice(40, 11, replace=False)
        liked = (rng.random(11) < 1 / (1 + np.exp(-mood - item_quality[items]))).astype(float)
        users.append(first_user + user)
        histories.append(items[:10])
        labels.append(liked[:10])
        targets.append(items[10])
        wanted.append(int(liked[10]))
    return Pairs(np.array(users), histories, labels, np.array(targets), np.array(wanted))


def test_item_quality_adds_to_the_like_rate():
    train, test = planted(400, 0, 0), planted(600, 1, 10_000)
    base = classification.auc(test.labels, pairs.like_rate(test))
    predicted = pairs.PairModel(40).fit(train).predict(test)
    assert classification.auc(test.labels, predicted) > base + 0.05
    assert classification.calibration_error(test.labels, predicted) < 0.1


def test_a_label_is_not_its_own_feature():
    train = planted(50, 0, 0)
    quality = pairs.Quality.of(train, 40)
    flipped = Pairs(
        train.users, train.histories, train.history_labels, train.targets, 1 - train.labels
    )
    other = pairs.Quality.of(flipped, 40)
    row = 0
    alone = [r for r in range(50) if r != row and train.targets[r] == train.targets[row]]
    if (
        not alone
    ):  # nobody else was asked about this item, so flipping this label must not move its feature
        assert quality.targets(train)[row] == pytest.approx(other.targets(flipped)[row])


def test_few_labels_fall_back_to_the_like_rate():
    test = planted(20, 1, 10_000)
    few = pairs.PairModel(40).fit(few_shots(planted(100, 0, 0), 16, 0))
    assert np.array_equal(few.predict(test), pairs.like_rate(test, pairs.RECENT))


def test_empty_histories_are_a_half():
    empty = Pairs(np.array([0]), [np.zeros(0, int)], [np.zeros(0)], np.array([1]), np.array([1]))
    assert pairs.like_rate(empty).tolist() == [0.5]


@pytest.fixture(scope="module")
def network():
    """Ten groups of eight who listen to the same things and are mostly friends."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"g{u // 8}-{i}") for u in range(80) for i in rng.choice(12, 6, replace=False)
    ]
    edges = [
        (f"u{a}", f"u{b}")
        for a in range(80)
        for b in range(80)
        if a // 8 == b // 8 and a != b and (a * b) % 3
    ]
    tags = pd.DataFrame(
        {"user_id": [r[0] for r in rows], "item_id": [r[1] for r in rows], "tag": "music"}
    )
    extras = {"edges": pd.DataFrame(edges, columns=["user_id", "friend_id"]), "tags": tags}
    return build_dataset(
        "net", pd.DataFrame(rows, columns=["user_id", "item_id"]), extras=extras, order="none"
    )


def test_hidden_friends_come_first_and_fusion_is_no_worse(network):
    known, hidden = hide_edges(network, 0.3)
    quality = {}
    fused, weights = friends.fuse(network, known)
    for name, scores in {**friends.signals(network, known), "fusion": fused}.items():
        people, found = friends.rank_hidden(scores, known, hidden)
        assert len(people) == len(found)
        quality[name] = ranking.ndcg(found, 10).mean()
    assert quality["popularity"] < 0.3 < quality["adamic-adar"]
    assert quality["fusion"] > max(quality["common neighbours"], quality["items"]) - 0.02
    assert set(weights) == {"popularity", "common neighbours", "adamic-adar", "items", "tags"}


def test_the_hidden_edge_leaves_no_trace(network):
    known, hidden = hide_edges(network, 0.3)
    matrix = friends.adjacency(known, network.n_users)
    assert not matrix[hidden[:, 0], hidden[:, 1]].any()
    assert not matrix[hidden[:, 1], hidden[:, 0]].any()


def test_too_many_people_are_refused(network, monkeypatch):
    monkeypatch.setattr(friends, "MAX_USERS", 10)
    with pytest.raises(UnsupportedError, match="limit of 10"):
        friends.signals(network, np.zeros((0, 2), int))


def test_examples_in_the_documentation():
    assert doctest.testmod(pairs).failed == 0
