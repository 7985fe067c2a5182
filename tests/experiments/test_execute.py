"""A whole run from spec to record on real files: tiny backbones, a small catalogue, every kind of language-model row."""

import numpy as np
import pandas as pd
import pytest

from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import CheckpointError
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.execute import execute
from llmrec_core.experiments.spec import run_from_dict
from llmrec_core.recommenders.knn import ItemKnn
from llmrec_core.training.sampling import GroupSampler
from tests.engine import folder

ITEMS, USERS = 40, 24
TRAINING = {
    "steps": 3, "warmup_steps": 1, "batch_histories": 4, "positives": 2, "negatives": 4, "validate_every": 3, "validation_users": 6
}  # fmt: skip
READER = {"family": "cross-encoder", "backbone": "bert", "head": "attention", "adaptation": "full"}
CUT = {"retriever": "item-knn", "rerank_k": 5}
ROWS = {
    "item-knn": {"family": "item-knn"},
    "decoder": {"family": "decoder", "backbone": "llama", "head": "yes-no", "adaptation": "lora", **CUT},
    "reader": READER,
}


@pytest.fixture(scope="module")
def films():
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user}", f"i{item}", 1.0, float(time))
        for user in range(USERS)
        for time, item in enumerate(rng.permutation(ITEMS)[:8])
    ]
    items = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(ITEMS)],
            "title": [f"{'black' if n % 2 else 'white'} field number{n}" for n in range(ITEMS)],
        }
    )
    return build_dataset(
        "films", pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"]), items=items
    )


def executed(name, chosen, films, settings, place, parent=None):
    """The context of a finished run."""
    if "backbone" in chosen:
        chosen = {**chosen, "backbone": str(folder(chosen["backbone"]))}
    body = {
        "name": name,
        "recommender": chosen,
        "training": TRAINING,
        "protocol": {"candidates": "20-uniform", "users": 12},
    }
    spec = run_from_dict(body | ({"weights_from": "reader"} if parent else {}))
    context = RunContext(place, parent_model=parent)
    execute(spec, films, context, settings)
    return context


@pytest.mark.parametrize("name", ROWS)
def test_a_run_writes_quality_and_cost_of_the_same_weights(name, films, settings, tmp_path):
    context = executed(name, ROWS[name], films, settings, tmp_path)
    found = {(row.name, row.slice): row for row in context.measurements}
    assert 0 <= found["ndcg@10", "all"].value <= 1 and found["ndcg@10", "all"].n == 12
    assert found["latency_p50_s", "all"].value > 0
    assert len(context.documents["lists"]["users"]) == 12
    assert found["coverage@10", "all"].value > 0 and found["snips_ndcg@10", "all"].n == 12
    checks = {check["check"]: check["passed"] for check in context.documents["checks"]}
    assert False not in checks.values() and checks["shuffled-labels"] is (True if name == "item-knn" else None)
    assert ("training" in context.documents) == (name != "item-knn")
    if name == "item-knn":
        return
    training = context.documents["training"]
    kept = next(sample.values for sample in context.samples if sample.name == "ndcg@10")
    assert training["after"]["ndcg@10"] == pytest.approx(np.mean(kept))  # all twelve are among the first users
    assert training["before"]["users"] == 12 and training["steps"] == TRAINING["steps"]
    if name == "reader":
        cascade = {**READER, "family": "cascade", "blend": "validation", **CUT}
        above = executed("cascade", cascade, films, settings, tmp_path / "above", tmp_path / "model")
        assert "training" not in above.documents and 0 <= above.documents["model"]["blend"] <= 1


def test_item_knn_that_was_not_fitted_says_so():
    with pytest.raises(CheckpointError, match="not fitted"):
        ItemKnn().score([np.array([1, 2])], np.array([[0, 3]]))


def test_followed_items_are_the_positives_of_a_group(films):
    sampler = GroupSampler(split(films, "loo"), history_items=5, negatives=6, seed=0, positives=3)
    for number in range(40):
        group = sampler.group(number)
        before, positives = group.history.tolist(), group.items[:3].tolist()
        owners = [
            owner
            for owner in map(np.ndarray.tolist, sampler.sequences)
            for place in range(1, len(owner))
            if owner[max(0, place - 5) : place] == before and (owner[place : place + 3] * 3)[:3] == positives
        ]
        assert owners and not set(group.items[3:].tolist()) & set(owners[0])
