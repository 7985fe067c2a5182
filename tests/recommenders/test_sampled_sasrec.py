"""SASRec over whole histories with a sampled softmax: it learns, resumes, and is tuned unseen."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import RunError, UsageError
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.running import tune as search

USERS, ITEMS = 60, 24
TABLE = {
    "name": "ring",
    "protocol": {"candidates": "full", "users": 0},
    "recommender": {
        "family": "sasrec",
        "adaptation": "full",
        "history_items": 6,
        "options": {"width": 16, "layers": 1, "heads": 1, "in_epochs": 1, "negatives": 8},
    },
    "training": {
        "steps": 160,
        "batch_histories": 16,
        "learning_rate": 1e-2,
        "warmup_steps": 4,
        "validate_every": 80,
        "validation_users": 0,
    },
}


@pytest.fixture(scope="module")
def ring():
    """People walk around a ring of items, each from a place of their own: the next is certain."""
    rows = [
        (f"u{user}", f"i{(user + step) % ITEMS}", float(step))
        for user in range(USERS)
        for step in range(5 + user % 4)
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)]})
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return build_dataset("ring", table, items)


def spec_of(**changes):
    return run_from_dict({**TABLE, **changes})


class Stopping(RunContext):
    """Asks to stop after so many steps."""

    def __init__(self, folder, after=math.inf):
        super().__init__(folder)
        self.left = after

    def should_stop(self):
        self.left -= 1
        return self.left <= 0


def test_the_withheld_item_comes_first_and_a_loaded_model_scores_alike(ring, settings, tmp_path):
    parts = split(ring, "loo")
    recommender = build(spec_of(), ring, settings)
    recommender.fit(parts, RunContext(tmp_path / "run"))
    histories = [case.history for case in parts.test]
    everything = np.tile(np.arange(ITEMS), (len(histories), 1))
    scores = recommender.score(histories, everything)
    best = scores.argmax(axis=1)
    right = np.array([case.relevant[0] for case in parts.test])
    assert (best == right).mean() >= 0.9
    few = recommender.score(histories, everything[:, :2])  # too few for a product with them all
    np.testing.assert_allclose(few, scores[:, :2], atol=1e-5)
    recommender.save(tmp_path / "model")
    again = family_class("sasrec").load(tmp_path / "model", ring, settings)
    np.testing.assert_array_equal(again.score(histories, everything), scores)


def test_a_training_that_was_stopped_ends_as_one_that_was_not(ring, settings, tmp_path):
    parts = split(ring, "loo")
    spec = spec_of(training=TABLE["training"] | {"steps": 24, "dropout": 0.3})
    whole, stopped = build(spec, ring, settings), build(spec, ring, settings)
    whole.fit(parts, RunContext(tmp_path / "whole"))
    with pytest.raises(RunError, match="resume to go on"):
        stopped.fit(parts, Stopping(tmp_path / "stopped", after=9))
    resumed = build(spec, ring, settings)
    resumed.fit(parts, RunContext(tmp_path / "stopped"))
    for name, weights in whole.model.state_dict().items():
        assert weights.equal(resumed.model.state_dict()[name]), name


def test_a_search_asks_nobody_of_the_test_and_computes_nothing_twice(ring, settings, monkeypatch):
    monkeypatch.setattr(search, "load_dataset", lambda name, settings: ring)
    slow = spec_of(name="slow", training=TABLE["training"] | {"learning_rate": 1e-5})
    sentences = []
    trials = search.tune([slow, spec_of()], settings, minutes=10, say=sentences.append)
    assert [trial.name for trial in trials] == ["ring", "slow"], "best on validation first"
    assert [trial.people for trial in trials] == [USERS, USERS]
    best = trials[0]
    assert best.figures["ndcg@10"] == max(value for _, value in best.curve)
    assert [step for step, _ in best.curve] == [79, 159]
    assert len(sentences) == 2

    def refuse(*args):
        raise AssertionError("a finished trial was fitted again")

    monkeypatch.setattr(search, "build", refuse)
    assert search.tune([slow, spec_of()], settings, minutes=10) == trials
    spent = search.tune([slow, spec_of(seed=1)], settings, minutes=0, say=sentences.append)
    assert [trial.name for trial in spent] == ["slow"]
    assert sentences[-1] == "the budget of 0 minutes is spent"


def test_a_search_over_what_does_not_train_is_refused(ring, settings):
    popular = dataclasses.replace(run_from_dict({"recommender": {"family": "popularity"}}))
    with pytest.raises(UsageError, match="has no weights to train"):
        search.tune([popular], settings, minutes=1)
