"""Our metrics against ranx, and against definitions written out, on random lists.

ranx has no ranks for ties, so that it is given lists without them. Lists with ties are compared
with the definition by scipy's mean ranks and scikit-learn's AUC.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from llmrec_core.metrics import beyond, ranking
from tests.peers.conftest import noted

CLOSE = 1e-12
EXAMPLES = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def ranx():
    """The library as plain Python: compiled it is ready after half a minute."""
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        import ranx

        yield ranx
    finally:
        numba.config.DISABLE_JIT = before


@st.composite
def lists(draw, *, ties: bool):
    """Scores (N,) of one list, which of them are relevant (at least one), and k."""
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(0, max(n // 3, 2), n) / 7 if ties else rng.permutation(n) / 3
    relevant = rng.random(n) < draw(st.sampled_from([0.05, 0.3, 0.9]))
    relevant[rng.integers(n)] = True
    return scores, relevant, draw(st.integers(1, 50))


def ours(scores, relevant, k):
    places = ranking.ranks(scores[None], relevant[None])
    count = np.array([len(scores)])
    return {
        "ndcg": ranking.ndcg(places, k)[0],
        "recall": ranking.recall(places, k)[0],
        "hit": ranking.hit(places, k)[0],
        "map@k": ranking.average_precision(places, k)[0],
        "map": ranking.average_precision(places)[0],
        "mrr": ranking.mrr(places)[0],
        "auc": ranking.auc(places, count)[0],
    }


def test_ranx_gives_the_same_of_lists_without_ties(ranx):
    @EXAMPLES
    @given(lists(ties=False))
    def agree(case):
        scores, relevant, k = case
        names = [f"i{n}" for n in range(len(scores))]
        truth = ranx.Qrels(
            {"u": {name: 1 for name, is_one in zip(names, relevant, strict=True) if is_one}}
        )
        run = ranx.Run({"u": dict(zip(names, scores.tolist(), strict=True))})
        wanted = {
            "ndcg": f"ndcg@{k}", "recall": f"recall@{k}", "hit": f"hit_rate@{k}",
            "map@k": f"map@{k}", "map": "map", "mrr": "mrr",
        }  # fmt: skip
        theirs = ranx.evaluate(truth, run, list(wanted.values()))
        total = int(relevant.sum())
        mine = ours(scores, relevant, k)
        # ranx divides by all relevant items, also where fewer fit into the list
        mine["map@k"] *= min(k, total) / total
        for name, their_name in wanted.items():
            assert mine[name] == pytest.approx(theirs[their_name], abs=CLOSE), name

    agree()
    noted("metrics, lists without ties", "ranx", "equal: NDCG, recall, hit, MAP@k, MAP, MRR")


@EXAMPLES
@given(lists(ties=True))
def test_ties_have_mean_ranks(case):
    scores, relevant, k = case
    places = np.sort(rankdata(-scores, method="average")[relevant])
    total, inside = len(places), places <= k
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(k, total) + 1))
    mine = ours(scores, relevant, k)
    assert mine["ndcg"] == pytest.approx((1 / np.log2(1 + places))[inside].sum() / ideal, abs=CLOSE)
    assert mine["recall"] == pytest.approx(inside.sum() / total, abs=CLOSE)
    assert mine["hit"] == float(inside.any())
    assert mine["mrr"] == pytest.approx(1 / places[0], abs=CLOSE)
    precision = np.arange(1, total + 1) / places
    assert mine["map@k"] == pytest.approx(precision[inside].sum() / min(k, total), abs=CLOSE)
    if relevant.all():
        assert np.isnan(mine["auc"])
    else:
        assert mine["auc"] == pytest.approx(roc_auc_score(relevant, scores), abs=CLOSE)


@EXAMPLES
@given(lists(ties=False))
def test_scikit_learn_gives_the_same_average_precision(case):
    scores, relevant, k = case
    expected = average_precision_score(relevant, scores)
    assert ours(scores, relevant, k)["map"] == pytest.approx(expected, abs=CLOSE)


@EXAMPLES
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 30), st.integers(1, 10))
def test_lists_beyond_being_right(seed, users, items, k):
    """Coverage, Gini, novelty and diversity by their definitions, of lists that may be short or empty."""
    rng = np.random.default_rng(seed)
    shown = np.full((users, k), -1)
    for row in shown:
        own = rng.choice(items, rng.integers(0, min(k, items) + 1), replace=False)
        row[: len(own)] = own
    rows = [[int(item) for item in row if item >= 0] for row in shown]
    assert beyond.coverage(shown, items) == len({i for row in rows for i in row}) / items
    times = [sum(item in row for row in rows) for item in range(items)]
    apart = sum(abs(a - b) for a in times for b in times)  # G = Σ|x_i − x_j| ÷ (2 I Σ x)
    even = apart / (2 * items * sum(times)) if sum(times) else 0.0
    assert beyond.gini(shown, items) == pytest.approx(even, abs=CLOSE)
    counts = rng.integers(0, 9, items)
    counts[0] += 1
    for row, novelty in zip(rows, beyond.novelty(shown, counts), strict=True):
        bits = [-math.log2(max(int(counts[item]), 1) / int(counts.sum())) for item in row]
        assert novelty == pytest.approx(sum(bits) / len(bits) if bits else 0.0, abs=1e-9)
    vectors = rng.integers(0, 2, (items, 3)).astype(float)
    for row, varied in zip(rows, beyond.diversity(shown, vectors), strict=True):
        pairs = [(a, b) for a in row for b in row if a != b]
        if not pairs:
            assert np.isnan(varied)
            continue
        expected = sum(1 - _cosine(vectors[a], vectors[b]) for a, b in pairs) / len(pairs)
        assert varied == pytest.approx(expected, abs=1e-9)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


def test_nobody_without_a_relevant_item_is_averaged():
    """A row with no relevant item has no rank at all: every metric of it says so."""
    places = ranking.ranks(np.array([[3.0, 2.0]]), np.array([[False, False]]))
    assert np.isnan(places).all()
    assert np.isnan(ranking.auc(places, np.array([2]))).all()
