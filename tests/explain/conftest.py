"""A small catalogue and the tiny models that explain it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.data.dataset import build_dataset

ITEMS = 30
HISTORY = [3, 7, 11, 2, 9]
SPEC = RunSpec(recommender=RecommenderSpec(family="popularity"))


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
    relations = pd.DataFrame(
        [(f"i{item}", "film.made_by", f"m{item % 9}") for item in range(ITEMS)]
        + [(f"i{item}", "film.actor", f"m{item % 13}") for item in range(0, ITEMS, 2)],
        columns=["item_id", "relation", "entity"],
    )
    return build_dataset("small", table, items, users, extras={"relations": relations})


@pytest.fixture(scope="session")
def backbones(tmp_path_factory):
    from tests.tiny import tiny_backbone

    return {
        kind: louder(tiny_backbone(tmp_path_factory.mktemp(kind), kind))
        for kind in ("bert", "llama", "gpt2", "gpt_neox")
    }


def louder(folder):
    """The model folder with four times its fresh weights, under which every score is nearly 0."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = {name: 4.0 * w if w.ndim > 1 else w for name, w in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    return folder


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


@pytest.fixture
def ask():
    """A function that asks a recommender about item 15 after five films, and sees that the answer is JSON."""
    import json

    from llmrec_core.contract.parsing import parse
    from llmrec_core.contract.requests import ExplainRequest
    from llmrec_core.explain.answer import explain_answer

    def asked(recommender, dataset, spec=SPEC, **fields):
        fields = {"item": 15} | ({} if "user" in fields else {"history": HISTORY}) | fields
        body = explain_answer(recommender, dataset, spec, parse(ExplainRequest, fields))
        return json.loads(json.dumps(body))

    return asked


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
