"""Metrics against worked examples, scikit-learn and each other."""

import doctest

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from llmrec_core.data.candidates import candidate_sets
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.metrics import ranking
from llmrec_core.metrics.evaluate import evaluate, of_lists, per_user
from llmrec_core.metrics.slices import slices


def test_examples_in_the_documentation():
    result = doctest.testmod(ranking)
    assert result.attempted
    assert not result.failed


def scores_and_relevant(seed=0, users=50, items=40):
    rng = np.random.default_rng(seed)
    relevant = rng.random((users, items)) < 0.15
    relevant[:, 0] |= ~relevant.any(axis=1)
    return rng.normal(size=(users, items)), relevant


@pytest.mark.parametrize("k", [1, 5, 10, 40])
def test_ndcg_agrees_with_scikit_learn(k):
    scores, relevant = scores_and_relevant()
    ours = ranking.ndcg(ranking.ranks(scores, relevant), k)
    theirs = [
        sk.ndcg_score([r.astype(int)], [s], k=k) for s, r in zip(scores, relevant, strict=True)
    ]
    assert ours == pytest.approx(theirs)


def test_auc_and_average_precision_agree_with_scikit_learn_also_with_ties():
    scores, relevant = scores_and_relevant()
    scores = scores.round(0)
    found = ranking.ranks(scores, relevant)
    theirs = [sk.roc_auc_score(r, s) for s, r in zip(scores, relevant, strict=True)]
    assert ranking.auc(found, np.full(50, 40)) == pytest.approx(theirs)
    scores, relevant = scores_and_relevant(1)
    theirs = [sk.average_precision_score(r, s) for s, r in zip(scores, relevant, strict=True)]
    assert ranking.average_precision(ranking.ranks(scores, relevant)) == pytest.approx(theirs)


def test_recall_hit_and_mrr_agree_with_a_sorted_list():
    scores, relevant = scores_and_relevant()
    found = ranking.ranks(scores, relevant)
    for row, (s, r) in enumerate(zip(scores, relevant, strict=True)):
        ordered = r[np.argsort(-s)]
        assert ranking.recall(found, 5)[row] == ordered[:5].sum() / r.sum()
        assert ranking.hit(found, 5)[row] == ordered[:5].any()
        assert ranking.mrr(found)[row] == pytest.approx(1 / (ordered.argmax() + 1))


def test_a_constant_scorer_is_neither_lucky_nor_punished():
    scores, relevant = np.zeros((1, 5)), np.eye(5, dtype=bool)[:1]
    found = ranking.ranks(scores, relevant)
    assert found.tolist() == [[3.0]]
    assert ranking.auc(found, np.array([5])).tolist() == [0.5]


def test_nan_scores_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        ranking.ranks(np.array([[np.nan]]), np.array([[True]]))


@pytest.fixture
def toy():
    rng = np.random.default_rng(0)
    rows = [
        (u, i, float(t))
        for u in range(30)
        for t, i in enumerate(rng.choice(50, rng.integers(4, 30), replace=False))
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).astype(
        {"user_id": str, "item_id": str}
    )
    return split(build_dataset("toy", table), "loo")


def test_evaluate_gives_every_metric_for_every_slice_or_a_reason(toy):
    def oracle(histories, candidates):
        return np.where(np.arange(candidates.shape[1]) == 0, 1.0, 0.0) * np.ones(
            (len(candidates), 1)
        )

    sets = candidate_sets(toy, toy.test, "20-uniform", 0)
    rows, samples = evaluate(oracle, toy, toy.test, sets, "loo/20-uniform", batch=7)
    values = {(row.name, row.slice): row for row in rows}
    assert values["ndcg@10", "all"].value == values["auc", "all"].value == 1.0
    assert values["ndcg@10", "all"].n == 30
    cold = values["mrr", "cold items"]
    assert cold.value is not None or "no user" in cold.reason
    assert {s.name for s in samples} == {"ndcg@10", "recall@10", "hit@10", "map@10", "mrr", "auc"}
    assert samples[0].keys == [case.user for case in toy.test]


def test_the_result_does_not_change_with_batch_size_or_order(toy):
    def scorer(histories, candidates):
        return np.sin(candidates * 1.7) + np.array([[len(h)] for h in histories]) * 0

    together = per_user(scorer, toy, toy.test, "full")
    for batch in (1, 7):
        for name, values in per_user(scorer, toy, toy.test, "full", batch=batch).items():
            assert np.array_equal(values, together[name])
    backwards = per_user(scorer, toy, toy.test[::-1], "full")
    assert np.array_equal(backwards["ndcg@10"][::-1], together["ndcg@10"])


def test_a_wrong_shape_is_refused(toy):
    with pytest.raises(ValueError, match="shape"):
        per_user(lambda histories, candidates: candidates[:, :1], toy, toy.test, "full")


def test_slices_count_training_interactions(toy):
    masks = slices(toy, toy.test)
    for case, rare, short in zip(
        toy.test, masks["rare items"], masks["short histories"], strict=True
    ):
        assert rare == (toy.item_counts[case.relevant[0]] <= 10)
        assert short == (len(case.history) <= 20)


def test_lists_are_measured_beyond_being_right():
    """Four people, six items; everybody is shown items 0 and 1, the withheld items are 0, 0, 0 and 5."""
    table = pd.DataFrame(
        [
            (f"u{u}", f"i{i}", float(t))
            for u, items in enumerate(([1, 2, 3, 0], [1, 2, 4, 0], [2, 1, 3, 0], [1, 3, 2, 5]))
            for t, i in enumerate(items)
        ],
        columns=["user_id", "item_id", "timestamp"],
    )
    items = pd.DataFrame(
        {"item_id": [f"i{n}" for n in range(6)], "genres": ["A", "A|B", "B", "B", "A", "B"]}
    )
    made = split(build_dataset("four", table, items), "loo")
    code = [made.dataset.item_code(f"i{n}") for n in range(6)]
    lists = np.array([[code[0], code[1]]] * 4)
    ndcg = np.array([1.0, 1.0, 1.0, 0.0])
    found = {row.name: row for row in of_lists(lists, ndcg, made, made.test, "loo/full", 2)}
    assert found["coverage@2"].value == pytest.approx(2 / 6)
    assert found["diversity@2"].value == pytest.approx(1 - 1 / 2**0.5)  # cosine of A and A|B
    assert found["novelty@2"].unit == "bit" and found["novelty@2"].n == 4
    assert (
        0
        <= found["snips_ndcg@2"].low
        <= found["snips_ndcg@2"].value
        <= found["snips_ndcg@2"].high
        <= 1
    )
    assert 1 <= found["effective_users"].value <= 4
    bare = split(build_dataset("four", table), "loo")
    reasons = {
        row.name: row.reason for row in of_lists(lists, ndcg, bare, bare.test, "loo/full", 2)
    }
    assert "no genres" in reasons["diversity@2"]
