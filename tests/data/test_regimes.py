"""Few labels, cold items, cold users, given lists, hidden friends: nothing that is asked could have been learned."""

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.data import candidates, regimes
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.metrics.exam import Exam
from llmrec_core.reading import protocols


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{i}", float(rng.integers(1, 6)), float(t))
        for u in range(40)
        for t, i in enumerate(rng.choice(50, 14, replace=False))
    ]
    pairs = pd.DataFrame(
        {
            "split": ["train"] * 30 + ["test"] * 5,
            "user_id": [f"u{n}" for n in range(35)],
            "item_id": "i1",
            "label": [float(n == 3) for n in range(30)] + [0.0, 1, 0, 1, 0],
            "timestamp": 1.0,
            "history": "i2 i3",
            "history_labels": "1 0",
        }
    )
    edges = pd.DataFrame(
        {
            "user_id": ["u1", "u2", "u3", "u4", "u9"],
            "friend_id": ["u2", "u1", "u4", "u3", "stranger"],
        }
    )
    lists = pd.DataFrame(
        {"method": "bm25", "user_id": ["u5", "u1"], "items": ["i1 i2 i3 i4", "i5 i6 i7 i8"]}
    )
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    return build_dataset("toy", table, extras={"pairs": pairs, "edges": edges, "lists": lists})


def test_few_shots_are_nested_and_hold_both_classes(data):
    train = regimes.given_pairs(data, "train")
    few, more = (regimes.few_shots(train, n, seed=1) for n in (8, 16))
    assert set(few.users) < set(more.users)
    assert set(few.labels) == {0, 1}  # one yes among thirty
    assert few.histories[0].tolist() == [data.item_code("i2"), data.item_code("i3")]
    assert not np.array_equal(regimes.few_shots(train, 8, seed=2).users, few.users)
    with pytest.raises(UnsupportedError, match="valid"):
        regimes.given_pairs(data, "valid")


def test_made_pairs_keep_users_apart_and_look_only_back(data):
    train, test = regimes.made_pairs(data, liked_above=3)
    assert not set(train.users) & set(test.users)
    assert len(train) + len(test) == 40 * 4
    assert all(
        target not in history
        for target, history in zip(train.targets, train.histories, strict=True)
    )


@pytest.mark.parametrize("make", [regimes.cold_items, regimes.cold_users])
def test_cold_things_are_nowhere_in_training(make, data):
    made = split(data, "loo")
    cold = make(made, share=0.3, seed=0)
    assert cold.test
    for case in cold.test:
        if make is regimes.cold_items:
            assert cold.item_counts[case.relevant].sum() == 0
            assert not (cold.item_counts[case.history] == 0).all()
        else:
            assert len(cold.train[case.user]) == 0
            assert len(case.history) == 5
    assert cold.item_counts.sum() < made.item_counts.sum()


def test_given_lists_hold_the_target_once_and_first(data, monkeypatch):
    monkeypatch.setattr(candidates, "GIVEN_ITEMS", 4)
    made = candidates.askable(split(data, "loo"), "given-bm25")
    assert [case.user for case in made.test] == [1, 5]
    sets = candidates.candidate_sets(made, made.test, "given-bm25", 0)
    listed = candidates.given_lists(data, "bm25")
    for case, row in zip(made.test, sets, strict=True):
        assert row[0] == case.relevant[0]
        assert (row == case.relevant[0]).sum() == 1
        assert set(row[1:]) <= set(listed[case.user]) and len(row) == 4
    drawn = candidates.candidate_sets(made, made.valid, "given-bm25", 0)
    assert (
        drawn.shape == (len(made.valid), 4)
        and (drawn[:, 0] == [case.relevant[0] for case in made.valid]).all()
    )
    assert candidates.askable(made, "full") is made
    with pytest.raises(UnsupportedError, match="bm25"):
        candidates.askable(made, "given-pop")


def test_hidden_friends_are_hidden_in_both_directions(data):
    known, hidden = regimes.hide_edges(data, share=0.5)
    assert len(known) + len(hidden) == 2  # two mutual links; the stranger is nobody we know
    assert not {tuple(edge) for edge in known} & {tuple(edge) for edge in hidden}
    assert (known[:, 0] < known[:, 1]).all()


def test_the_shelf_offers_what_nobody_has_taken_and_only_cold_items_are_asked(data):
    parts = split(data, "loo-cold-items")
    offered = candidates.candidate_sets(parts, parts.test, "shelf", 0)
    untouched = np.flatnonzero(parts.item_counts == 0)
    for case, row in zip(parts.test, offered, strict=True):
        assert row[0] in case.relevant
        # the withheld item is cold itself, and nobody's history holds one
        assert sorted(row) == untouched.tolist()
    with pytest.raises(UsageError, match=r"'shelf' contradicts protocol\.split 'loo'"):
        ProtocolSpec(split="loo", candidates="shelf")
    protocol = ProtocolSpec(split="loo-cold-items", candidates="shelf", users=3)
    assert Exam.of(data, protocol).candidates.shape == (3, len(untouched))
    assert "nobody has taken in training" in protocols.in_words(protocol.name)
