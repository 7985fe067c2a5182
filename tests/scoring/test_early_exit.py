"""Early exit: the same top k for the users its margin covers, in fewer layers; a wrong dial is a sentence."""

import json

import numpy as np
import pytest
import torch

from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.scoring.early_exit import EarlyExit, calibrate
from llmrec_core.scoring.scorer import Scorer
from tests.engine import ITEMS, scorer_model

K = 3


@pytest.fixture(
    scope="module",
    params=[
        ("bert", "attention", "shared"),
        ("bert", "linear", "per_item"),
        ("llama", "yes-no", "shared"),
    ],
)
def calibrated(request):
    kind, head, attention = request.param
    scorer = Scorer(scorer_model(kind, head=head, history_attention=attention))
    rng = np.random.default_rng(0)
    histories = [rng.choice(ITEMS, 4, replace=False).tolist() for _ in range(24)]
    candidates = np.stack([rng.permutation(ITEMS)[:30] for _ in histories])
    return (
        scorer,
        histories,
        candidates,
        calibrate(scorer, histories, candidates, depth=1, k=K, keep=1.0),
    )


def test_covered_users_keep_their_list(calibrated):
    scorer, histories, candidates, found = calibrated
    for history, items in list(zip(histories, candidates, strict=True))[
        12:
    ]:  # those the margin was fitted on
        scorer.exit = None
        exact = scorer.rank(history, items, k=K)
        scorer.exit = found
        quick = scorer.rank(history, items, k=K)
        np.testing.assert_array_equal(quick[0], exact[0])
        np.testing.assert_allclose(quick[1], exact[1], atol=2e-4, rtol=1e-4)
    scorer.exit = None


def test_those_that_stop_stand_below_the_survivors(calibrated):
    scorer, histories, candidates, found = calibrated
    tight = EarlyExit(found.depth, K, found.weights, 0.0, 0.0)
    prefix = scorer.prefix(scorer.model.layout.history(histories[0]))
    with torch.inference_mode():
        early = tight.early(scorer, prefix, candidates[0])
        scores = tight.scores(scorer, prefix, candidates[0])
    best = set(np.argsort(-early)[:K])
    assert set(np.argsort(-scores)[:K]) == best, "with no margin exactly k read on"
    assert np.isfinite(scores).all() and len(scores) == 30


def test_it_is_stored_without_loss(calibrated):
    found = calibrated[3]
    again = EarlyExit.from_dict(json.loads(json.dumps(found.to_dict())))
    np.testing.assert_array_equal(again.weights, found.weights)
    assert (again.margin, again.depth, again.k) == (found.margin, found.depth, found.k)


def test_a_looser_share_lets_fewer_read_on(calibrated):
    scorer, histories, candidates, strict = calibrated
    loose = calibrate(scorer, histories, candidates, depth=1, k=K, keep=0.5)
    assert loose.margin <= strict.margin and loose.survivors <= strict.survivors


@pytest.mark.parametrize(
    "depth, keep, users", [(0, 0.99, 24), (2, 0.99, 24), (1, 0.0, 24), (1, 0.99, 3)]
)
def test_a_wrong_dial_is_a_sentence(calibrated, depth, keep, users):
    scorer, histories, candidates, _ = calibrated
    with pytest.raises(UsageError, match=r"choose 1 to 1|at least 4 users"):
        calibrate(scorer, histories[:users], candidates[:users], depth=depth, k=K, keep=keep)


def test_models_without_an_early_reading_are_refused():
    scorer = Scorer(scorer_model("bert", history_attention="full"))
    with pytest.raises(UnsupportedError, match="read once"):
        calibrate(scorer, [[1]] * 8, np.tile(np.arange(20), (8, 1)), depth=1)
