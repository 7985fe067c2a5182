"""The formula counts what is read: against torch's own counter, past every limit, for every family.

The grid goes beyond the context (128 tokens of the tiny backbones), beyond the history items that a
recommender keeps, and beyond one chunk of candidates. Both sides see the same three requests.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.profiling.measure import counted_flops
from llmrec_core.recommenders.registry import build
from tests.peers.model_folders import byte_pairs, unigrams, write_folder
from tests.tiny import WORDS, tiny_backbone

torch.set_num_threads(1)  # narrow products: a second thread only waits for the first
ITEMS = 300
LARGEST_DIFFERENCE = 0.01
REQUESTS = ((0, 7), (1, 1), (4, 250), (60, 7), (60, 1))
"""History items and candidates; 250 titles are more than one chunk."""
TINY = {"width": 16, "layers": 2, "heads": 2}
CASES = {
    "sasrec": {"family": "sasrec", "adaptation": "full", "history_items": 12, "options": TINY},
    "text-sasrec": {
        "family": "text-sasrec", "adaptation": "full", "history_items": 12, "options": TINY,
        "backbone": "bert",
    },
    "parallel-codes": {
        "family": "parallel-codes", "adaptation": "full", "history_items": 12,
        "options": TINY | {"codes": 5, "codebook": 30}, "backbone": "bert",
    },
    "tiger": {
        "family": "tiger", "adaptation": "full", "history_items": 12,
        "options": TINY | {"levels": 2, "codebook": 30, "beam": 7}, "backbone": "bert",
    },
    "cross-encoder, shared": {"family": "cross-encoder", "backbone": "bert"},
    "cross-encoder, attention head": {
        "family": "cross-encoder", "backbone": "bert", "head": "attention",
    },
    "cross-encoder, per_item": {
        "family": "cross-encoder", "backbone": "bert", "history_attention": "per_item",
    },
    "cross-encoder, full": {
        "family": "cross-encoder", "backbone": "bert", "head": "pooler",
        "history_attention": "full",
    },
    "cross-encoder, one layer": {"family": "cross-encoder", "backbone": "bert", "depth": 1},
    "decoder, llama": {"family": "decoder", "backbone": "llama", "head": "yes-no"},
    "decoder, qwen2": {"family": "decoder", "backbone": "qwen2"},
    "decoder, gpt2": {"family": "decoder", "backbone": "gpt2", "head": "yes-no"},
    "decoder, gemma3": {"family": "decoder", "backbone": "gemma3_text", "head": "yes-no"},
    "decoder, gemma3, full": {
        "family": "decoder", "backbone": "gemma3_text", "head": "yes-no",
        "history_attention": "full",
    },
    "cross-encoder, roberta": {"family": "cross-encoder", "backbone": "roberta"},
    "decoder, gpt_neox, full": {
        "family": "decoder", "backbone": "gpt_neox", "head": "yes-no", "history_attention": "full",
    },
    "cascade": {
        "family": "cross-encoder", "backbone": "bert", "retriever": "popularity", "rerank_k": 20,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def parts():
    """A catalogue of titles of one to eight words."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user in range(12)
        for place, item in enumerate(rng.choice(ITEMS, 6, replace=False))
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)]})
    items["title"] = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(ITEMS)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return split(build_dataset("grid", table, items), "loo")


def model_of(kind, folder):
    if kind == "gemma3_text":
        return write_folder(folder, kind, unigrams("gemma"))
    if kind == "roberta":
        return write_folder(folder, kind, byte_pairs("roberta"))
    return tiny_backbone(folder, kind)


@pytest.mark.parametrize("name", list(CASES))
def test_formula_and_counter_agree_within_a_percent(name, parts, settings, tmp_path):
    chosen = {"history_items": 40, **CASES[name]}
    if "backbone" in chosen:
        kind = chosen["backbone"]
        chosen["backbone"] = str(model_of(kind, tmp_path / kind))
    spec = run_from_dict({"recommender": chosen, "training": {"steps": 1, "warmup_steps": 0}})
    spec = dataclasses.replace(spec, protocol=ProtocolSpec(candidates="10-uniform", users=0))
    recommender = build(spec, parts.dataset, settings)
    if chosen["family"] in ("sasrec", "text-sasrec", "parallel-codes", "tiger"):
        recommender.fit(parts, RunContext(tmp_path / "run"))
        recommender.score([np.arange(3)], np.arange(3)[None])  # the item vectors are made once
    if "retriever" in chosen:
        recommender.retriever.fit(parts, RunContext(tmp_path / "run"))
    rng, worst = np.random.default_rng(1), 0.0
    for length, offered in REQUESTS:
        histories = [rng.choice(ITEMS, length + n, replace=False) for n in range(3)]
        candidates = np.stack([rng.choice(ITEMS, offered, replace=False) for _ in range(3)])
        counted, reason = counted_flops(recommender, histories, candidates)
        formula = recommender.describe(histories, candidates).flops_per_request
        assert counted, reason
        worst = max(worst, abs(formula / counted - 1))
    print(f"{name}: largest difference to the counter {worst:.3%}")
    assert worst <= LARGEST_DIFFERENCE


def test_a_history_beyond_the_context_costs_what_is_read_of_it(parts, settings, tmp_path):
    """60 titles of some five tokens are cut at 128 tokens: more of them cost nothing more."""
    backbone = str(tiny_backbone(tmp_path / "bert"))
    chosen = {"family": "cross-encoder", "backbone": backbone, "history_items": 200}
    recommender = build(run_from_dict({"recommender": chosen}), parts.dataset, settings)
    candidates = np.arange(10)[None]
    costs = [
        recommender.describe([np.arange(299, 299 - length, -1)[::-1]], candidates)
        for length in (60, 200)
    ]
    assert costs[0].flops_per_request == costs[1].flops_per_request
    assert costs[1].notes["history_tokens"] < 128


def test_what_torch_cannot_see_has_a_reason_and_no_figure(parts, settings, tmp_path):
    knn = build(run_from_dict({"recommender": {"family": "item-knn"}}), parts.dataset, settings)
    knn.fit(parts, RunContext(tmp_path))
    assert counted_flops(knn, [np.arange(3)], np.arange(4)[None])[0] is None
