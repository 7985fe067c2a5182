"""A small catalogue and the tiny models that explain it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmrec_core.data.dataset import build_dataset
from llmrec_core.experiments.spec import RecommenderSpec, RunSpec

ITEMS = 30


@pytest.fixture(scope="session")
def small_dataset():
    """Thirty films, twelve people with ages, everybody saw ten of them."""
    rng = np.random.default_rng(1)
    rows = [
        (f"u{user}", f"i{item}", float(time))
        for user in range(12)
        for time, item in enumerate(rng.permutation(ITEMS)[:10])
    ]
    items = pd.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(ITEMS)],
            "title": [
                f"{'black' if item % 2 else 'white'} field number{item} ({1999 if item % 3 else 2001})"
                for item in range(ITEMS)
            ],
            "genres": ["drama|comedy" if item % 4 else "" for item in range(ITEMS)],
            "year": [1999 if item % 3 else 2001 for item in range(ITEMS)],
        }
    )
    users = pd.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(12)],
            "age": [20 + user for user in range(12)],
            "gender": ["F", "M"] * 6,
        }
    )
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return build_dataset("small", table, items, users)


@pytest.fixture(scope="session")
def backbones(tmp_path_factory):
    from tests.tiny import tiny_backbone

    return {kind: tiny_backbone(tmp_path_factory.mktemp(kind), kind) for kind in ("bert", "llama", "gpt2", "gpt_neox")}


@pytest.fixture(scope="session")
def language_model(small_dataset, backbones):
    """A function that builds a language model recommender with random weights that are far from zero."""
    import torch

    from llmrec_core.recommenders.language_model import LanguageModelRecommender
    from llmrec_core.settings import load_settings

    def make(kind="bert", *, head="linear", attention="shared", history_items=6):
        spec = RunSpec(
            recommender=RecommenderSpec(
                family="cross-encoder" if kind == "bert" else "decoder", backbone=str(backbones[kind]), head=head,
                history_attention=attention, history_items=history_items,
            )
        )  # fmt: skip
        made = LanguageModelRecommender(spec, small_dataset, load_settings())
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in made.model.parameters():
                if parameter.ndim >= 2:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
        made.scorer.weights_changed()
        return made

    return make


class Rule:
    """A recommender whose score is any function of a history and an item."""

    def __init__(self, rule):
        self.rule = rule

    def score(self, histories, candidates):
        return np.array(
            [
                [self.rule(list(map(int, history)), int(item)) for item in row]
                for history, row in zip(histories, candidates, strict=True)
            ],
            dtype=np.float64,
        )


@pytest.fixture
def rule():
    return Rule
