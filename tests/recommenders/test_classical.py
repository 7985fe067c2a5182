"""One contract for all classical families: right on data whose answer is known, and equal however they are called."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import CheckpointError, UnsupportedError, UsageError
from llmrec_core.recommenders import ease, tfidf
from llmrec_core.recommenders.registry import build, family_class
from tests.recommenders.checkerboard import ITEMS, USERS, split_checkerboard

CLASSICAL = ("popularity", "directed-counts", "item-knn", "ease", "tf-idf", "bm25")


@pytest.fixture(scope="module")
def checkerboard():
    return split_checkerboard()


def fitted(family, made, tmp_path, **options):
    spec = RunSpec(recommender=RecommenderSpec(family=family, options=options))
    recommender = build(spec, made.dataset, settings=None)
    recommender.fit(made, RunContext(tmp_path))
    return recommender


def requests(made):
    """One candidate of the user's own colour, the withheld one, and all of the other colour."""
    return [case.history for case in made.test], np.stack(
        [np.append(case.relevant, np.arange((case.user + 1) % 2, ITEMS, 2)) for case in made.test]
    )


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("directed-counts", {}),
        ("item-knn", {}),
        ("item-knn", {"window": 0, "decay": 1.0}),
        ("item-knn", {"neighbours": 8}),
        ("ease", {"l2": 5.0}),
        ("tf-idf", {}),
        ("bm25", {}),
    ],
)
def test_the_withheld_item_of_a_checkerboard_comes_first(family, options, checkerboard, tmp_path):
    histories, candidates = requests(checkerboard)
    scores = fitted(family, checkerboard, tmp_path, **options).score(histories, candidates)
    assert (scores.argmax(axis=1) == 0).all()


@pytest.mark.parametrize("family", CLASSICAL)
def test_a_batch_equals_one_by_one_and_saved_equals_loaded(family, checkerboard, tmp_path):
    recommender = fitted(family, checkerboard, tmp_path)
    histories, candidates = requests(checkerboard)
    histories = [*histories, np.zeros(0, np.int32)]  # somebody new
    candidates = np.vstack([candidates, np.arange(candidates.shape[1])])
    together = recommender.score(histories, candidates)
    assert together.dtype == np.float32
    assert together.shape == candidates.shape
    assert np.isfinite(together).all()
    padded = recommender.score(histories[:1], np.array([[0, -1]]))
    assert np.isfinite(padded[0, 0])
    assert padded[0, 1] == -np.inf  # padding
    alone = np.vstack(
        [recommender.score([h], c[None]) for h, c in zip(histories, candidates, strict=True)]
    )
    assert np.allclose(together, alone, atol=1e-6)
    recommender.save(tmp_path / "weights")
    again = family_class(family).load(tmp_path / "weights", checkerboard.dataset)
    assert np.array_equal(again.score(histories, candidates), together)


@pytest.mark.parametrize("family", CLASSICAL)
def test_the_order_of_candidates_changes_no_score(family, checkerboard, tmp_path):
    recommender = fitted(family, checkerboard, tmp_path)
    histories, candidates = requests(checkerboard)
    flipped = recommender.score(histories, candidates[:, ::-1])[:, ::-1]
    assert np.allclose(flipped, recommender.score(histories, candidates), atol=1e-6)


@pytest.mark.parametrize("family", ["item-knn", "ease", "popularity", "directed-counts"])
def test_a_new_user_gets_the_popular_items(family, checkerboard, tmp_path):
    scores = fitted(family, checkerboard, tmp_path).score(
        [np.zeros(0, np.int32)], np.arange(ITEMS)[None]
    )
    assert scores[0].argmax() == checkerboard.item_counts.argmax()


@pytest.mark.parametrize("family", CLASSICAL)
def test_costs_by_formula(family, checkerboard, tmp_path):
    recommender = fitted(family, checkerboard, tmp_path)
    small, large = (
        recommender.describe([np.arange(length)], np.arange(100)[None]) for length in (2, 8)
    )
    assert small.weight_bytes > 0
    assert small.flops_per_request <= large.flops_per_request
    assert (family == "popularity") == (large.flops_per_request == 0)


def test_knn_similarity_equals_the_cosine_done_by_hand(checkerboard, tmp_path):
    knn = fitted("item-knn", checkerboard, tmp_path, window=0, power=0.5)
    seen = np.zeros((USERS, ITEMS))
    for user, items in enumerate(checkerboard.train):
        seen[user, items] = 1
    norms = np.sqrt(seen.sum(axis=0))
    cosine = seen.T @ seen / np.outer(norms, norms)
    np.fill_diagonal(cosine, 0)
    assert np.allclose(knn.similarity.toarray(), cosine, atol=1e-6)


def test_directed_counts_are_those_done_by_hand(tmp_path):
    """Three people: a b c d e, a b d e f, b c a f g; the last two items of each are withheld."""
    rows = [
        (user, item, float(time))
        for user, items in (("u", "abcde"), ("v", "abdef"), ("w", "bcafg"))
        for time, item in enumerate(items)
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    parts = split(build_dataset("letters", table), "loo")
    code = parts.dataset.item_code
    model = fitted("directed-counts", parts, tmp_path, popularity=0.0)
    # training: a b c, a b d, b c a, so a→b twice, b→c twice, b→d once, c→a once
    history = np.array([code("b"), code("a")])
    asked = np.array([[code(item) for item in "bcdae"]])
    # after a (age 0, weight 1): b 2; after b (age 1, weight 0.5): c 0.5 · 2, d 0.5 · 1
    assert model.score([history], asked).tolist() == [[2.0, 1.0, 0.5, 0.0, 0.0]]
    long_ago = np.array([code("a"), *[code(item) for item in "efgfe"]])
    assert model.score([long_ago], asked).tolist() == [[0.0] * 5], (
        "the sixth last item counts no more"
    )


def test_directed_counts_without_an_order_count_both_ways(checkerboard, tmp_path):
    unordered = replace(checkerboard, dataset=replace(checkerboard.dataset, order="none"))
    model = fitted("directed-counts", unordered, tmp_path)
    assert model.decay == 1.0
    assert np.array_equal(model.successors.toarray(), model.successors.toarray().T)


def test_a_wide_window_equals_any_distance(checkerboard, tmp_path):
    wide = fitted("item-knn", checkerboard, tmp_path, window=50, backward=1.0)
    anywhere = fitted("item-knn", checkerboard, tmp_path, window=0)
    assert np.allclose(wide.similarity.toarray(), anywhere.similarity.toarray(), atol=1e-6)


def test_without_an_order_the_sequence_is_not_read(checkerboard, tmp_path):
    unordered = replace(checkerboard, dataset=replace(checkerboard.dataset, order="none"))
    knn = fitted("item-knn", unordered, tmp_path)
    assert (knn.window, knn.decay, knn.power) == (0, 1.0, 0.5)
    assert fitted("item-knn", unordered, tmp_path, window=3).window == 3
    assert fitted("ease", unordered, tmp_path).decay == 1.0
    assert fitted("item-knn", checkerboard, tmp_path).window == 10


def test_ease_equals_its_formula(checkerboard, tmp_path):
    model = fitted("ease", checkerboard, tmp_path, l2=3.0)
    seen = np.zeros((USERS, ITEMS))
    for user, items in enumerate(checkerboard.train):
        seen[user, items] = 1
    inverse = np.linalg.inv(seen.T @ seen + 3 * np.eye(ITEMS))
    expected = np.eye(ITEMS) - inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert np.allclose(model.weights, expected, atol=1e-5)


def test_a_ridge_that_drowns_in_rounding_is_refused(checkerboard, tmp_path):
    """A row of XᵀX sums to what all who took an item took; λ is to be 1e-5 of the largest."""
    lengths = [len(items) for items in checkerboard.train]
    largest = max(
        sum(lengths[user] for user, items in enumerate(checkerboard.train) if item in items)
        for item in range(ITEMS)
    )
    with pytest.raises(UnsupportedError, match=r"l2 is 0\.000001, which drowns"):
        fitted("ease", checkerboard, tmp_path, l2=1e-6)
    least = fitted("ease", checkerboard, tmp_path, l2=1.01e-5 * largest)
    assert np.isfinite(least.weights).all()


def test_scoring_the_whole_catalogue_equals_scoring_rows(checkerboard, tmp_path, monkeypatch):
    model = fitted("bm25", checkerboard, tmp_path)
    histories, candidates = requests(checkerboard)
    fast = model.score(histories, candidates)
    monkeypatch.setattr(tfidf, "MANY", 0)
    assert np.allclose(model.score(histories, candidates), fast, atol=1e-5)


def test_a_fusion_is_a_family_of_its_own(checkerboard, tmp_path):
    spec = RunSpec(recommender=RecommenderSpec(family="fusion", retriever="item-knn+tf-idf"))
    recommender = build(spec, checkerboard.dataset, settings=None)
    recommender.fit(checkerboard, RunContext(tmp_path))
    histories, candidates = requests(checkerboard)
    scores = recommender.score(histories, candidates)
    assert (scores.argmax(axis=1) == 0).all()
    recommender.save(tmp_path / "fused")
    again = family_class("fusion").load(tmp_path / "fused", checkerboard.dataset)
    assert np.array_equal(again.score(histories, candidates), scores)
    with pytest.raises(UsageError, match="joined by"):
        RecommenderSpec(family="fusion", retriever="item-knn")
    with pytest.raises(UsageError, match="'sasrec'"):
        build(
            RunSpec(recommender=RecommenderSpec(family="fusion", retriever="item-knn+sasrec")),
            None,
            None,
        )


def test_refusals(checkerboard, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"'lambda'.*l2"):
        fitted("ease", checkerboard, tmp_path, **{"lambda": 1.0})
    monkeypatch.setattr(ease, "MAX_ITEMS", 5)
    with pytest.raises(UnsupportedError, match="limit here is 5 items"):
        fitted("ease", checkerboard, tmp_path)
    no_titles = split(
        build_dataset("x", pd.DataFrame({"user_id": ["a"] * 3, "item_id": list("xyz")})), "loo"
    )
    with pytest.raises(UnsupportedError, match="titles"):
        fitted("tf-idf", no_titles, tmp_path)


@pytest.mark.threat("damaged-model")
def test_damaged_and_foreign_weights_are_refused(checkerboard, tmp_path):
    fitted("popularity", checkerboard, tmp_path).save(tmp_path)
    kind = family_class("popularity")
    other = build_dataset("other", pd.DataFrame({"user_id": ["a"], "item_id": ["x"]}))
    with pytest.raises(CheckpointError, match="fitted on 20 items"):
        kind.load(tmp_path, other)
    (tmp_path / "popularity.npz").write_bytes(b"not an archive")
    with pytest.raises(CheckpointError, match="damaged"):
        kind.load(tmp_path, checkerboard.dataset)
    with pytest.raises(CheckpointError, match=r"no popularity\.npz"):
        kind.load(tmp_path / "nowhere", checkerboard.dataset)
