"""Training weighted by inverse propensity: the weights, their variance, and that rare items gain from them."""

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.recommenders.registry import build

TRAINING = {
    "steps": 60,
    "batch_histories": 16,
    "learning_rate": 5e-3,
    "warmup_steps": 5,
    "validate_every": 60,
}


@pytest.fixture(scope="module")
def made():
    """Everybody meets item 0 sooner or later, and the others by chance."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(60):
        walk = rng.permutation([0, *rng.choice(np.arange(1, 20), 7, replace=False)])
        rows += [(f"u{user}", f"i{item}", float(time)) for time, item in enumerate(walk)]
    return split(
        build_dataset("skewed", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])),
        "loo",
    )


def trained(made, folder, **options):
    body = {
        "family": "sasrec",
        "adaptation": "full",
        "history_items": 6,
        "options": {"width": 16, **options},
    }
    spec = run_from_dict(
        {
            "recommender": body,
            "training": TRAINING,
            "protocol": {"candidates": "11-uniform", "users": 0},
        }
    )
    model = build(spec, made.dataset, None)
    context = RunContext(folder)
    lines = []
    context.log = lines.append
    model.fit(made, context)
    return model, lines


def test_weights_are_clipped_inverse_propensities(made, tmp_path):
    model, lines = trained(made, tmp_path, ips=1.0, ips_clip=4)
    weights = model._weights(made, RunContext(tmp_path)).numpy()
    counts = made.item_counts
    # gamma 1: propensity = count ÷ largest count; weight = 1 ÷ propensity, at most 4
    assert weights == pytest.approx(np.minimum(counts.max() / np.maximum(counts, 1), 4.0))
    per_target = np.repeat(weights, counts)
    share = per_target.sum() ** 2 / (per_target**2).sum() / len(per_target)
    notes = model.describe([np.arange(5)], np.arange(10)[None]).notes["propensity"]
    assert notes["effective_share"] == pytest.approx(share)
    assert notes["clip"] == 4.0
    assert 0 < notes["effective_share"] < 1
    assert any("propensity weights" in line for line in lines)


def test_without_the_option_nothing_is_weighted(made, tmp_path):
    model, lines = trained(made, tmp_path)
    assert model._weights(made, RunContext(tmp_path)) is None
    assert "propensity" not in model.describe([np.arange(5)], np.arange(10)[None]).notes
    assert not any("propensity" in line for line in lines)


def test_rare_items_rise_and_popular_ones_fall(made, tmp_path):
    plain, _ = trained(made, tmp_path / "plain")
    fair, _ = trained(made, tmp_path / "fair", ips=1.5, ips_clip=20)
    items = np.arange(made.dataset.n_items)[None]
    popular = made.item_counts >= np.quantile(made.item_counts, 0.8)

    def share(model):
        scores = np.concatenate([model.score([case.history], items) for case in made.test])
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        return float((chances / chances.sum(axis=1, keepdims=True))[:, popular].sum(axis=1).mean())

    assert share(fair) < 0.9 * share(plain)
