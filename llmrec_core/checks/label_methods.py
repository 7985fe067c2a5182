"""The methods of a label curve, each as the part of a run that tells it from the others.

`frozen` is the language model's text cosine, which needs no label; `head` trains a head on frozen
states.
"""

from __future__ import annotations

from typing import Any

from llmrec_core.contract.families import family_title
from llmrec_core.language import marked, t

ALONE = ("popularity", "item-knn", "ease")
"""Families measured as they come, under their own titles."""
LABELS = (300, 1_000, 3_000, 10_000, 30_000)
LM = {
    "family": "cross-encoder",
    "backbone": "minilm-l6",
    "head": "attention",
    "history_attention": "per_item",
}
GROUPS = {"positives": 4, "negatives": 12}
METHODS: dict[str, dict[str, Any]] = {
    **{family: {"recommender": {"family": family}} for family in ALONE},
    "fusion": {"recommender": {"family": "fusion", "retriever": "item-knn+ease+tf-idf"}},
    "frozen": {"recommender": {"family": "bi-encoder", "backbone": "minilm-l6"}},
    "head": {
        "recommender": {**LM, "adaptation": "head"},
        "training": {**GROUPS, "learning_rate": 1e-2},
    },
    "lora": {
        "recommender": {**LM, "adaptation": "lora"},
        "training": {**GROUPS, "learning_rate": 2e-3},
    },
    "full": {
        "recommender": {**LM, "adaptation": "full"},
        "training": {**GROUPS, "learning_rate": 1e-3},
    },
}
TITLES = {
    "fusion": marked("Fusion of item-kNN, EASE and TF-IDF"),
    "frozen": marked("MiniLM cosine, frozen"),
    "head": marked("MiniLM, trained head on frozen states"),
    "lora": marked("MiniLM, LoRA"),
    "full": marked("MiniLM, full fine-tuning"),
}


def title_of(method: str) -> str:
    """What people read of a method."""
    return family_title(method) if method in ALONE else t(TITLES[method])
