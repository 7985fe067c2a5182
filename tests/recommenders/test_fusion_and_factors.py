"""Fusion learns whom to believe, and where; factorisation follows the contract of the other families."""

import doctest

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.data.candidates import candidate_sets
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import UnsupportedError
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.recommenders import fusion
from llmrec_core.recommenders.factors import Als, Bpr
from llmrec_core.recommenders.knn import ItemKnn
from llmrec_core.recommenders.popularity import Popularity
from llmrec_core.recommenders.tfidf import TfIdf


@pytest.fixture(scope="module")
def made():
    """Half of the users follow a ring of often seen items, half read chapters whose titles alone connect them."""
    rows, titles = [], {}
    for user in range(80):
        for n in range(6):
            item = f"ring{(user + n) % 20}" if user % 2 else f"book{user}-{n}"
            titles[item] = f"number{item}" if user % 2 else f"saga{user} part {n}"
            rows.append((f"u{user}", item, float(n)))
    items = pd.DataFrame({"item_id": list(titles), "title": list(titles.values())})
    return split(
        build_dataset(
            "two", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items
        ),
        "loo",
    )


def ndcg(model, made):
    return per_user(model.score, made, made.test, "100-uniform")["ndcg@10"].mean()


def test_fusion_beats_each_of_its_members_and_survives_saving(made, tmp_path):
    members = {"item-knn": ItemKnn(), "tf-idf": TfIdf()}
    both = fusion.Fusion(members, candidates="50-uniform")
    both.fit(made, RunContext(tmp_path))
    assert ndcg(both, made) > max(ndcg(member, made) for member in members.values()) + 0.05
    weights = both.named_weights()
    assert (
        weights["tf-idf, rare"] + weights["tf-idf"]
        > weights["item-knn, rare"] + weights["item-knn"]
    )
    both.save(tmp_path)
    again = fusion.Fusion.load(tmp_path, made.dataset)
    sets = candidate_sets(made, made.test[:5], "20-uniform", 0)
    histories = [case.history for case in made.test[:5]]
    assert np.array_equal(both.score(histories, sets), again.score(histories, sets))
    alone = np.vstack([both.score([h], s[None]) for h, s in zip(histories, sets, strict=True)])
    assert np.allclose(alone, both.score(histories, sets), atol=1e-6)
    assert (
        both.describe(histories, sets).flops_per_request
        > members["item-knn"].describe(histories, sets).flops_per_request
    )


def test_a_useless_member_does_no_harm(made, tmp_path):
    knn = ItemKnn()
    knn.fit(made, RunContext(tmp_path))
    both = fusion.Fusion({"item-knn": knn, "popularity": Popularity()}, candidates="50-uniform")
    both.fit(made, RunContext(tmp_path))
    assert ndcg(both, made) > ndcg(knn, made) - 0.02


def test_weights_minimise_the_loss():
    features = [np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])] * 4
    relevant = [np.array([True, False, False])] * 4
    found = fusion.learn_weights(features, relevant, ridge=0.01)
    assert found[0] > 1 > 0 > found[1]


def test_examples_in_the_documentation():
    assert doctest.testmod(fusion).failed == 0


@pytest.fixture(scope="module")
def checkerboard():
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{i}", float(t))
        for u in range(40)
        for t, i in enumerate(rng.permutation(np.arange(u % 2, 20, 2))[:9])
    ]
    return split(
        build_dataset("board", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])),
        "loo",
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Als, {"factors": 2}), (Bpr, {"factors": 8, "epochs": 200, "l2": 0.001})],
)
def test_factors_put_the_withheld_item_of_a_checkerboard_first(
    kind, options, checkerboard, tmp_path
):
    model = kind(**options)
    model.fit(checkerboard, RunContext(tmp_path))
    histories = [case.history for case in checkerboard.test]
    colour = np.array([int(name[1:]) % 2 for name in checkerboard.dataset.items.item_id])
    sets = np.array(
        [
            [case.relevant[0], *np.flatnonzero(colour != colour[case.relevant[0]])]
            for case in checkerboard.test
        ]
    )
    scores = model.score(histories, sets)
    assert (scores.argmax(axis=1) == 0).mean() > 0.95
    model.save(tmp_path)
    assert np.array_equal(kind.load(tmp_path, checkerboard.dataset).score(histories, sets), scores)


def test_without_implicit_there_is_a_sentence(checkerboard, tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def no_implicit(name, *args, **kwargs):
        if name.startswith("implicit"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_implicit)
    with pytest.raises(UnsupportedError, match="pip install implicit"):
        Als().fit(checkerboard, RunContext(tmp_path))
